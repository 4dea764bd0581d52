//! Lock-freedom: one thread stands still for ever at any of its steps, and the others all finish.
