//#if debug
assert(window);
//#end
//#if release
silence();
//#end
draw(window);
