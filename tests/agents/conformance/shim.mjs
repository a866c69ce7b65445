// Lets the suite start with Node.js 20, whose `fs` has no `globSync`. The scenarios for servers do not call it.
import { register } from 'node:module';

register('./hooks.mjs', import.meta.url);
