//! Memory in use: the global allocator, with a count of what it has handed out.
//!
//! Each thread counts for itself and adds to the sum of all once it has moved by `FOLD_BYTES`, so
//! that an allocation touches nothing shared. The sum is off by less than that for each thread that
//! lives, and by nothing for those that have ended. What is counted is what was asked for: rounding
//! and fragmentation show in the resident size only. Stacks are mapped, not allocated, and are not
//! counted, those of scripts neither; all that Lua keeps comes from here.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::ffi::{CStr, c_char, c_int, c_long, c_void};
use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering};

use libmimalloc_sys::mi_malloc;
use mimalloc::MiMalloc;

/// What a thread may have allocated or freed without having told.
const FOLD_BYTES: usize = 32 << 10;

/// Instead of a count: the thread has not counted yet. Far enough from 0 for `fold` to be called.
const UNSTARTED: isize = isize::MAX / 2;
/// Instead of a count: the thread is ending and tells each change at once.
const ENDED: isize = isize::MIN / 2;

/// On a cache line of its own: all threads write it, now and then.
#[repr(align(128))]
struct Sum(AtomicIsize);

static USED: Sum = Sum(AtomicIsize::new(0));
static PEAK: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// What the thread has allocated less what it has freed since it last told. Without a
    /// destructor, so it can be reached as long as the thread runs.
    static MOVED: Cell<isize> = const { Cell::new(UNSTARTED) };
    static FAREWELL: Farewell = const { Farewell };
}

/// Dropped when its thread ends.
struct Farewell;

impl Drop for Farewell {
    fn drop(&mut self) {
        let rest = MOVED.with(|moved| moved.replace(ENDED));
        // Relaxed: see `used_bytes`.
        USED.0.fetch_add(rest, Ordering::Relaxed);
    }
}

#[inline]
fn count(delta: isize) {
    MOVED.with(|moved| {
        let now = moved.get().wrapping_add(delta);
        if now.unsigned_abs() < FOLD_BYTES {
            moved.set(now);
        } else {
            fold(moved, delta);
        }
    });
}

#[cold]
#[inline(never)]
fn fold(moved: &Cell<isize>, delta: isize) {
    match moved.get() {
        UNSTARTED => {
            // Before the destructor is registered, which may allocate.
            moved.set(0);
            if FAREWELL.try_with(|_| ()).is_err() {
                moved.set(ENDED);
            }
            count(delta);
        }
        ENDED => {
            // Relaxed: see `used_bytes`.
            USED.0.fetch_add(delta, Ordering::Relaxed);
        }
        before => {
            moved.set(0);
            // Relaxed: see `used_bytes`.
            USED.0.fetch_add(before + delta, Ordering::Relaxed);
        }
    }
}

/// Bytes that the process has allocated and not freed; 0 if it does not use [`Allocator`].
pub fn used_bytes() -> usize {
    // Relaxed, as all changes: an amount of a moment, through which nothing else is seen. It may
    // be negative for a moment, when a thread has told that it freed what another allocated.
    usize::try_from(USED.0.load(Ordering::Relaxed)).unwrap_or(0)
}

/// The most bytes that were in use whenever this was called, now included.
pub fn peak_bytes() -> usize {
    let used = used_bytes();
    // Relaxed: as the amount itself.
    PEAK.fetch_max(used, Ordering::Relaxed).max(used)
}

/// mimalloc, counted. A program installs it with `#[global_allocator]`.
pub struct Allocator;

/// Every block of mimalloc has this alignment, so that none has to be asked for: that costs more.
const NATURAL_ALIGNMENT: usize = 8;

/// A layout's size as a change; no layout is larger than `isize::MAX`.
fn size(layout: Layout) -> isize {
    layout.size() as isize
}

// SAFETY: every call goes to mimalloc with the arguments that came in, and its answer is returned;
// counting touches no block and unwinds nowhere.
unsafe impl GlobalAlloc for Allocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let block = if layout.align() <= NATURAL_ALIGNMENT {
            // SAFETY: mimalloc takes any size; its blocks are aligned to this much at least.
            unsafe { mi_malloc(layout.size()).cast() }
        } else {
            // SAFETY: the caller's promise.
            unsafe { MiMalloc.alloc(layout) }
        };
        if !block.is_null() {
            count(size(layout));
        }
        block
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        let block = unsafe { MiMalloc.alloc_zeroed(layout) };
        if !block.is_null() {
            count(size(layout));
        }
        block
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { MiMalloc.dealloc(block, layout) };
        count(-size(layout));
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller's promise.
        let moved = unsafe { MiMalloc.realloc(block, layout, new_size) };
        if !moved.is_null() {
            // The caller promises that the new size is no larger than `isize::MAX` either.
            count(new_size as isize - size(layout));
        }
        moved
    }
}

unsafe extern "C" {
    fn mi_collect(is_forced: bool);
    fn mi_option_get(option: c_int) -> c_long;
    fn mi_option_set(option: c_int, value: c_long);
    fn mi_stats_print_out(
        print: Option<unsafe extern "C" fn(*const c_char, *mut c_void)>,
        report: *mut c_void,
    );
}

/// An option of mimalloc: its number, its value if nobody sets it, and ours.
struct AllocatorOption {
    number: c_int,
    default: c_long,
    own: c_long,
}

/// `mi_option_generic_collect`: after how many allocations that its fast path could not serve a thread
/// looks through all of its pages. Ours: as seldom as it lets it be.
const GENERIC_COLLECT: AllocatorOption = AllocatorOption {
    number: 34,
    default: 10_000,
    own: 1_000_000,
};

/// `mi_option_purge_delay`: after how many milliseconds whoever comes by gives all that is free back to
/// the system. Ours: longer than the housekeeping, which calls `give_back`, ever waits.
const PURGE_DELAY: AllocatorOption = AllocatorOption {
    number: 15,
    default: 1_000,
    own: 60_000,
};

/// From now on threads hardly ever look by themselves for what others have freed of what they allocated
/// (see `collection`), and give nothing back to the system. To be called as the program starts; an option
/// that has been set otherwise stays. Whether it is so now.
pub fn leave_to_housekeeping() -> bool {
    [GENERIC_COLLECT, PURGE_DELAY].into_iter().all(|option| {
        // SAFETY: options may be read and written at any time; of a number that is none mimalloc takes no
        // notice. One that has another meaning in another version of mimalloc is not likely to have this
        // value.
        unsafe {
            if mi_option_get(option.number) == option.default {
                mi_option_set(option.number, option.own);
            }
            mi_option_get(option.number) == option.own
        }
    })
}

/// Makes what others have freed of the calling thread's allocations free to be used again. O(all that it
/// has allocated), a few microseconds for each 64 KiB of it.
pub(crate) fn collect() {
    // SAFETY: as in `give_back`.
    unsafe { mi_collect(false) }
}

/// Gives back to the system what the calling thread, and threads that have ended, have freed.
pub fn give_back() {
    // SAFETY: it may be called at any time, and frees only what nobody has.
    unsafe { mi_collect(true) }
}

/// Appends a piece of mimalloc's report.
///
/// # Safety
/// `piece` ends with a zero byte, and `report` is the `Vec<u8>` of `allocator_report`.
unsafe extern "C" fn append(piece: *const c_char, report: *mut c_void) {
    // SAFETY: the caller's promise.
    let (piece, report) = unsafe { (CStr::from_ptr(piece), &mut *report.cast::<Vec<u8>>()) };
    report.extend_from_slice(piece.to_bytes());
}

/// More than mimalloc usually tells.
const REPORT_BYTES: usize = 16 << 10;

/// What mimalloc tells of itself.
pub fn allocator_report() -> Vec<u8> {
    let mut report: Vec<u8> = Vec::with_capacity(REPORT_BYTES);
    // SAFETY: `append` is called with mimalloc's texts and with this vector, before this returns.
    unsafe { mi_stats_print_out(Some(append), (&raw mut report).cast()) };
    report
}

/// The bytes that a file of /proc gives in kilobytes behind a name; 0 where it does not.
pub(crate) fn proc_bytes(path: &str, name: &str) -> u64 {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let value = text.lines().find_map(|line| line.strip_prefix(name));
    let kilobytes = value.and_then(|value| value.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

/// The memory of the machine; 0 where the system does not tell.
pub(crate) fn machine_bytes() -> usize {
    usize::try_from(proc_bytes("/proc/meminfo", "MemTotal:")).unwrap_or(usize::MAX)
}
