//! Costs, to be looked at: `cargo test --release numbers -- --ignored --nocapture`.
