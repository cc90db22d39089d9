import './text';
show(text);
