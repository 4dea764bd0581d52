//! Faults on purpose, to see that the tests find them: each is one line where it breaks a rule.
//! They exist only in builds with `--cfg darter_faults`, where `DARTER_FAULT` names the one that
//! is on; docs/testing.md lists them. In every other build `fault!` is `false`.

/// Whether a fault is on.
#[macro_export]
#[doc(hidden)]
macro_rules! fault {
    ($name:literal) => {
        cfg!(darter_faults) && $crate::fault_is_on($name)
    };
}

/// Whether `DARTER_FAULT` names this one.
#[doc(hidden)]
pub fn fault_is_on(name: &str) -> bool {
    static NAME: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    NAME.get_or_init(|| std::env::var("DARTER_FAULT").unwrap_or_default()) == name
}
