//! Faults on purpose, as the store has them: one line each where it breaks a rule, in builds with
//! `--cfg darter_faults` alone.

macro_rules! fault {
    ($name:literal) => {
        darter_storage::fault!($name)
    };
}

pub(crate) use fault;
