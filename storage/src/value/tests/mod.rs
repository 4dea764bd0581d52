mod chain;
mod model;
mod numbers;
