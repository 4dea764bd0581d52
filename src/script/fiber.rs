//! A stack of its own for each run, taken from a pool.

use std::cell::RefCell;
use std::rc::Rc;
use std::{io, ptr};

use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, CoroutineResult};

use super::preempt::{ScriptYielder, Suspension, mask_signal, with_control};

/// Lua nests C calls 200 deep; with a signal frame on each that has been seen to take 439 KiB.
const STACK_BYTES: usize = 1 << 20;
/// Idle stacks kept; only their touched pages cost memory.
const IDLE_STACKS: usize = 16;

/// Idle stacks of one thread.
#[derive(Default)]
pub(super) struct StackPool {
    idle: RefCell<Vec<DefaultStack>>,
}

impl StackPool {
    fn take(&self) -> io::Result<DefaultStack> {
        let idle = self.idle.borrow_mut().pop();
        idle.map_or_else(|| DefaultStack::new(STACK_BYTES), Ok)
    }

    fn put(&self, stack: DefaultStack) {
        let mut idle = self.idle.borrow_mut();
        if idle.len() < IDLE_STACKS {
            idle.push(stack);
        }
    }
}

/// What a slice came to.
pub(super) enum Slice {
    Suspended(Suspension),
    Returned,
}

/// A function running on a stack of its own. Dropping it abandons the function where it stands.
pub(super) struct Fiber {
    coroutine: Option<Coroutine<(), Suspension, (), DefaultStack>>,
    yielder: *const ScriptYielder,
    suspended_in_signal: bool,
    pool: Rc<StackPool>,
}

impl Fiber {
    /// Prepares to run `body`.
    ///
    /// # Safety
    /// Whenever `body` is suspended, it has nothing on its stack that needs dropping and whose
    /// loss would do harm; and what it points to lives as long as the fiber.
    pub(super) unsafe fn new(
        pool: &Rc<StackPool>,
        body: fn(*mut ()),
        data: *mut (),
    ) -> io::Result<Fiber> {
        let coroutine = Coroutine::with_stack(pool.take()?, move |own: &ScriptYielder, ()| {
            with_control(|control| control.set_current(own));
            body(data);
        });
        Ok(Fiber {
            coroutine: Some(coroutine),
            yielder: ptr::null(),
            suspended_in_signal: false,
            pool: Rc::clone(pool),
        })
    }

    /// Runs until the next suspension or the end.
    pub(super) fn resume(&mut self) -> Slice {
        let Some(coroutine) = self
            .coroutine
            .as_mut()
            .filter(|coroutine| !coroutine.done())
        else {
            return Slice::Returned;
        };
        if self.suspended_in_signal {
            // Until sigreturn the fiber is inside the handler, which must not nest.
            mask_signal(true);
        }
        with_control(|control| {
            control.begin_slice();
            // Null at first: the body says which it is.
            control.set_current(self.yielder);
        });
        let result = coroutine.resume(());
        with_control(|control| {
            debug_assert!(!control.is_preemptible());
            self.yielder = control.end_slice();
        });
        self.suspended_in_signal = matches!(
            result,
            CoroutineResult::Yield(Suspension::PreemptedInSignal)
        );
        if self.suspended_in_signal {
            // The handler was left without sigreturn, which would have done this.
            mask_signal(false);
        }
        match result {
            CoroutineResult::Yield(suspension) => Slice::Suspended(suspension),
            CoroutineResult::Return(()) => Slice::Returned,
        }
    }
}

impl Drop for Fiber {
    fn drop(&mut self) {
        if let Some(mut coroutine) = self.coroutine.take() {
            if coroutine.started() && !coroutine.done() {
                // SAFETY: `Fiber::new` demands that nothing on the stack needs dropping.
                unsafe { coroutine.force_reset() };
            } else if !coroutine.started() {
                return;
            }
            self.pool.put(coroutine.into_stack());
        }
    }
}
