start();
//#if debug
trace('started');
//#end
