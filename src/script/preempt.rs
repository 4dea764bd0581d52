//! When a script's slice ends: a one-shot timer per thread, its signal, and the flags that say
//! whether the thread may be suspended where it stands.
//!
//! The rules, which every other file of this module relies on:
//! * `preemptible` is set only while Lua's own code runs. Rust code that Lua calls, and the
//!   allocator, clear it first; so malloc, locks and Rust's data are never left half-way.
//! * The signal suspends a preemptible fiber at once and leaves a note (`pending`) otherwise.
//! * The timer is armed by a slice that finds it unarmed and never disarmed. A signal for a slice
//!   that has ended arms it again for the one that runs, so short scripts do not pay for it.

use std::cell::Cell;
use std::mem::MaybeUninit;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering, compiler_fence};
use std::time::{Duration, Instant};
use std::{io, ptr};

use corosensei::Yielder;

use crate::fault::fault;

/// Why a fiber gave its thread back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Suspension {
    /// Its slice ended between two instructions of Lua; the signal's frame is on its stack.
    PreemptedInSignal,
    /// Its slice ended inside Rust code or the allocator and was noticed at their end.
    Preempted,
    /// A call has to be made again later.
    Waiting,
    /// It ran out of memory and must not be resumed.
    OutOfMemory,
    /// A function of Rust's panicked below it. It must not be resumed.
    Panicked,
}

pub(super) type ScriptYielder = Yielder<(), Suspension>;

/// Length of a slice.
const SLICE_NS: u64 = 1_000_000;

/// Length of a slice in which the script makes calls all the time.
const CALLING_SLICE: Duration = Duration::from_micros(250);
const CALLS_PER_BATCH: u32 = 16;

/// One thread's view of the fiber that it runs.
///
/// Only this thread and the signal handler on it touch the fields, so relaxed accesses suffice;
/// `compiler_fence` keeps them in the order of the program as the handler sees it.
pub(super) struct Control {
    current: AtomicPtr<ScriptYielder>,
    preemptible: AtomicBool,
    pending: AtomicBool,
    /// Odd while a slice runs.
    slice: AtomicU64,
    timer_armed: AtomicBool,
    /// The slice for which the timer was armed.
    timer_slice: AtomicU64,
    slice_ns: AtomicU64,
    /// Calls of redis.call in this slice.
    calls: Cell<u32>,
    /// When the first batch of them was complete.
    calls_began: Cell<Option<Instant>>,
    timer: Cell<libc::timer_t>,
    timer_users: Cell<usize>,
}

/// A function that runs on another stack of the same thread.
struct OnThisThread<F>(F);

// SAFETY: the function does not leave its thread. `Yielder::on_parent_stack` asks for `Send` to
// keep yielders out of the function, which the callers of `Control::on_parent_stack` do.
unsafe impl<F> Send for OnThisThread<F> {}

impl<F: FnOnce() -> R, R> OnThisThread<F> {
    fn run(self) -> R {
        (self.0)()
    }
}

thread_local! {
    // `const` and without a destructor, so the handler may touch it at any moment.
    static CONTROL: Control = const {
        Control {
            current: AtomicPtr::new(ptr::null_mut()),
            preemptible: AtomicBool::new(false),
            pending: AtomicBool::new(false),
            slice: AtomicU64::new(0),
            timer_armed: AtomicBool::new(false),
            timer_slice: AtomicU64::new(0),
            slice_ns: AtomicU64::new(SLICE_NS),
            calls: Cell::new(0),
            calls_began: Cell::new(None),
            timer: Cell::new(ptr::null_mut()),
            timer_users: Cell::new(0),
        }
    };
}

/// Runs `use_control` with this thread's control block.
#[inline(always)]
pub(super) fn with_control<R>(use_control: impl FnOnce(&Control) -> R) -> R {
    CONTROL.with(use_control)
}

impl Control {
    /// Forbids suspension by the signal and returns whether it was allowed.
    #[inline]
    pub(super) fn enter_rust(&self) -> bool {
        // Relaxed: see the type; the handler is on this thread.
        let before = self.preemptible.load(Ordering::Relaxed);
        self.preemptible.store(false, Ordering::Relaxed);
        compiler_fence(Ordering::SeqCst);
        before
    }

    /// Allows suspension by the signal again. Nothing of Rust's may be alive on the fiber then.
    #[inline]
    pub(super) fn enter_lua(&self) {
        compiler_fence(Ordering::SeqCst);
        // Relaxed: see the type.
        self.preemptible.store(true, Ordering::Relaxed);
    }

    /// Whether the thread may be suspended where it stands.
    #[inline]
    pub(super) fn is_preemptible(&self) -> bool {
        // Relaxed: see the type.
        self.preemptible.load(Ordering::Relaxed)
    }

    /// Suspends if the slice ended meanwhile.
    #[inline]
    pub(super) fn suspend_if_pending(&self) {
        // Relaxed: see the type.
        if self.pending.load(Ordering::Relaxed) {
            self.suspend(Suspension::Preempted);
        }
    }

    /// Gives the thread back to whoever resumed the running fiber.
    pub(super) fn suspend(&self, suspension: Suspension) {
        debug_assert!(!self.is_preemptible());
        // Relaxed: see the type.
        let yielder = self.current.load(Ordering::Relaxed);
        debug_assert!(!yielder.is_null());
        // SAFETY: `current` is the yielder of the fiber that runs on this thread right now: it is
        // set before each resume, and this function is called from that fiber alone.
        unsafe { (*yielder).suspend(suspension) };
    }

    /// Runs `function` on the stack of whoever resumed the running fiber: commands may need more
    /// stack than deeply nested Lua has left. `function` must not suspend.
    #[inline]
    pub(super) fn on_parent_stack<R>(&self, function: impl FnOnce() -> R) -> R {
        debug_assert!(!self.is_preemptible());
        let on_this_thread = OnThisThread(function);
        // Relaxed: see the type.
        let yielder = self.current.load(Ordering::Relaxed);
        // SAFETY: as in `suspend`; the resumer's stack is idle until this fiber gives it back,
        // and with `preemptible` clear the signal does not do that meanwhile.
        unsafe { (*yielder).on_parent_stack(move || on_this_thread.run()) }
    }

    /// The fiber that runs from here on, or null.
    pub(super) fn set_current(&self, yielder: *const ScriptYielder) {
        // Relaxed: see the type.
        self.current.store(yielder.cast_mut(), Ordering::Relaxed);
        compiler_fence(Ordering::SeqCst);
    }

    /// Begins a slice.
    pub(super) fn begin_slice(&self) {
        // Relaxed here and below: see the type.
        assert!(
            self.slice.load(Ordering::Relaxed).is_multiple_of(2),
            "a host must not resume a run"
        );
        self.pending.store(false, Ordering::Relaxed);
        self.calls.set(0);
        let slice = self.slice.load(Ordering::Relaxed) + 1;
        self.slice.store(slice, Ordering::Relaxed);
        compiler_fence(Ordering::SeqCst);
        let is_endless = fault!("slices never end");
        if !self.timer_armed.load(Ordering::Relaxed) && !is_endless {
            self.arm(slice);
        }
    }

    /// Counts a call to the host. A script that makes many gives way sooner than one that computes,
    /// for its calls can be told apart from the outside and it costs no signal to stop after one.
    /// A clock is read once per batch only, so short scripts read none.
    pub(super) fn count_call(&self) {
        let calls = self.calls.get() + 1;
        self.calls.set(calls);
        if !calls.is_multiple_of(CALLS_PER_BATCH) {
            return;
        }
        let now = Instant::now();
        match self.calls_began.get() {
            Some(began) if calls > CALLS_PER_BATCH => {
                if now.duration_since(began) >= CALLING_SLICE {
                    // Relaxed: see the type.
                    self.pending.store(true, Ordering::Relaxed);
                }
            }
            _ => self.calls_began.set(Some(now)),
        }
    }

    /// Ends the slice and returns the fiber that ran in it.
    pub(super) fn end_slice(&self) -> *const ScriptYielder {
        compiler_fence(Ordering::SeqCst);
        // Relaxed: see the type.
        self.slice
            .store(self.slice.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        self.current.swap(ptr::null_mut(), Ordering::Relaxed)
    }

    /// Async-signal-safe.
    fn arm(&self, slice: u64) {
        // Relaxed: see the type. The flag comes first: a signal between the two lines only makes
        // the next slice find it clear.
        self.timer_armed.store(true, Ordering::Relaxed);
        self.timer_slice.store(slice, Ordering::Relaxed);
        compiler_fence(Ordering::SeqCst);
        let slice_ns = self.slice_ns.load(Ordering::Relaxed);
        let when = libc::itimerspec {
            it_interval: libc::timespec {
                tv_sec: 0,
                tv_nsec: 0,
            },
            it_value: libc::timespec {
                tv_sec: (slice_ns / 1_000_000_000) as libc::time_t,
                tv_nsec: (slice_ns % 1_000_000_000) as libc::c_long,
            },
        };
        // SAFETY: the timer is this thread's own, created by `acquire` and deleted by the last
        // `release`, before and after which no slice runs; `when` is a valid time.
        unsafe { libc::timer_settime(self.timer.get(), 0, &when, ptr::null_mut()) };
    }

    fn on_signal(&self) {
        // Relaxed throughout: see the type.
        self.timer_armed.store(false, Ordering::Relaxed);
        let slice = self.slice.load(Ordering::Relaxed);
        if slice.is_multiple_of(2) {
            return;
        }
        if slice != self.timer_slice.load(Ordering::Relaxed) {
            self.arm(slice);
            return;
        }
        if !self.is_preemptible() {
            self.pending.store(true, Ordering::Relaxed);
            self.arm(slice);
            return;
        }
        self.enter_rust();
        self.suspend(Suspension::PreemptedInSignal);
        self.enter_lua();
    }
}

extern "C" fn handle_signal(_signal: libc::c_int) {
    // SAFETY: errno is this thread's own; while the fiber is suspended others change it, and the
    // interrupted code must find it as it was.
    let errno = unsafe { *libc::__errno_location() };
    with_control(Control::on_signal);
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = errno };
}

/// Sets this thread up for preemption; each call is paired with one of `release`.
pub(super) fn acquire() -> io::Result<()> {
    install_handler();
    with_control(|control| {
        if control.timer_users.get() == 0 {
            control.timer.set(create_timer()?);
        }
        control.timer_users.set(control.timer_users.get() + 1);
        Ok(())
    })
}

/// Undoes one `acquire`.
pub(super) fn release() {
    with_control(|control| {
        control.timer_users.set(control.timer_users.get() - 1);
        if control.timer_users.get() == 0 {
            // SAFETY: created by `acquire`, and no engine of this thread is left to arm it.
            unsafe { libc::timer_delete(control.timer.get()) };
            // Relaxed: see `Control`.
            control.timer_armed.store(false, Ordering::Relaxed);
        }
    });
}

fn create_timer() -> io::Result<libc::timer_t> {
    let mut timer = MaybeUninit::<libc::timer_t>::uninit();
    // SAFETY: an all-zero `sigevent` is valid; the fields that matter are set below.
    let mut event: libc::sigevent = unsafe { std::mem::zeroed() };
    event.sigev_notify = libc::SIGEV_THREAD_ID;
    event.sigev_signo = libc::SIGURG;
    // SAFETY: has no preconditions.
    event.sigev_notify_thread_id = unsafe { libc::gettid() };
    // SAFETY: both pointers are valid for the call.
    let result =
        unsafe { libc::timer_create(libc::CLOCK_MONOTONIC, &mut event, timer.as_mut_ptr()) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: timer_create succeeded and has written it.
    Ok(unsafe { timer.assume_init() })
}

fn install_handler() {
    static INSTALL: Once = Once::new();
    INSTALL.call_once(|| {
        // SAFETY: an all-zero `sigaction` is valid: an empty mask, no flags.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = handle_signal as extern "C" fn(libc::c_int) as usize;
        // Without SA_NODEFER handlers do not nest; without SA_ONSTACK the frame is on the fiber.
        action.sa_flags = libc::SA_RESTART;
        // SAFETY: the handler is async-signal-safe on threads that run no script (it reads two
        // flags) and follows the rules at the head of this file on those that do.
        unsafe { libc::sigaction(libc::SIGURG, &action, ptr::null_mut()) };
    });
}

/// Blocks or unblocks the slice signal on this thread.
pub(super) fn mask_signal(blocked: bool) {
    let how = if blocked {
        libc::SIG_BLOCK
    } else {
        libc::SIG_UNBLOCK
    };
    // SAFETY: the set is initialised by sigemptyset before use; the calls have no other
    // preconditions.
    unsafe {
        let mut set = MaybeUninit::<libc::sigset_t>::uninit();
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), libc::SIGURG);
        libc::pthread_sigmask(how, set.as_ptr(), ptr::null_mut());
    }
}

/// Sets the length of this thread's slices, for tests that want many of them.
#[doc(hidden)]
pub fn set_slice_ns(slice_ns: u64) {
    // Relaxed: see `Control`.
    with_control(|control| control.slice_ns.store(slice_ns, Ordering::Relaxed));
}
