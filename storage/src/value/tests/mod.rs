mod chain;
mod large;
mod model;
