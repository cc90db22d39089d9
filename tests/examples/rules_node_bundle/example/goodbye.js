const { greet } = require('./example/greeting.js');

console.log(greet('Goodbye', 'Bazel'));
