import {greeting} from "./greeting";

export const text: string = greeting("app");
