//! Atomics that look as the standard library's do and lie in memory as they do, with a point
//! before each access where the scheduler may go on with another thread. Sequentially consistent
//! whatever the ordering says.

#![expect(dead_code, reason = "every type can do the same")]

pub(crate) use std::sync::atomic::{Ordering, compiler_fence};

use std::sync::atomic::Ordering::SeqCst;

use super::model::point;

/// A point; every access is sequentially consistent anyway.
pub(crate) fn fence(_: Ordering) {
    point();
}

/// What every atomic can do.
macro_rules! accesses {
    ($value:ty) => {
        pub(crate) fn load(&self, _: Ordering) -> $value {
            point();
            self.0.load(SeqCst)
        }

        pub(crate) fn store(&self, value: $value, _: Ordering) {
            point();
            self.0.store(value, SeqCst);
        }

        pub(crate) fn swap(&self, value: $value, _: Ordering) -> $value {
            point();
            self.0.swap(value, SeqCst)
        }

        pub(crate) fn compare_exchange(
            &self,
            expected: $value,
            new: $value,
            _: Ordering,
            _: Ordering,
        ) -> Result<$value, $value> {
            point();
            self.0.compare_exchange(expected, new, SeqCst, SeqCst)
        }

        pub(crate) fn get_mut(&mut self) -> &mut $value {
            self.0.get_mut()
        }
    };
}

macro_rules! integers {
    ($($name:ident: $value:ty,)*) => {$(
        #[derive(Default)]
        #[repr(transparent)]
        pub(crate) struct $name(std::sync::atomic::$name);

        impl $name {
            pub(crate) const fn new(value: $value) -> Self {
                Self(std::sync::atomic::$name::new(value))
            }

            accesses!($value);

            pub(crate) fn fetch_add(&self, by: $value, _: Ordering) -> $value {
                point();
                self.0.fetch_add(by, SeqCst)
            }

            pub(crate) fn fetch_sub(&self, by: $value, _: Ordering) -> $value {
                point();
                self.0.fetch_sub(by, SeqCst)
            }

            pub(crate) fn fetch_or(&self, bits: $value, _: Ordering) -> $value {
                point();
                self.0.fetch_or(bits, SeqCst)
            }

            pub(crate) fn fetch_max(&self, other: $value, _: Ordering) -> $value {
                point();
                self.0.fetch_max(other, SeqCst)
            }
        }
    )*};
}

integers! {
    AtomicU8: u8,
    AtomicU32: u32,
    AtomicU64: u64,
    AtomicUsize: usize,
}

#[derive(Default)]
#[repr(transparent)]
pub(crate) struct AtomicBool(std::sync::atomic::AtomicBool);

impl AtomicBool {
    pub(crate) const fn new(value: bool) -> Self {
        Self(std::sync::atomic::AtomicBool::new(value))
    }

    accesses!(bool);
}

#[repr(transparent)]
pub(crate) struct AtomicPtr<T>(std::sync::atomic::AtomicPtr<T>);

impl<T> AtomicPtr<T> {
    pub(crate) const fn new(value: *mut T) -> Self {
        Self(std::sync::atomic::AtomicPtr::new(value))
    }

    accesses!(*mut T);
}
