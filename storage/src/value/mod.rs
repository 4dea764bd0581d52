//! What a version of a key holds.
