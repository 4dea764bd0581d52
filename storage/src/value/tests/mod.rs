mod chain;
mod hash;
mod large;
mod model;
mod stream;
