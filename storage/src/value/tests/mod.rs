mod chain;
mod hash;
mod in_place;
mod large;
mod model;
mod stream;
