import './text';
import './rights';
show(text, rights);
