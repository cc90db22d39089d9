import { greeting } from "./greeting.mjs";
console.log(greeting("app"));
