mod chain;
mod large;
mod model;
mod stream;
