//! An allocator that makes the use of freed memory show: what is freed is overwritten and not
//! given out again for a long time. A pointer read from it is no address, so the test dies of it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

const KEPT: usize = 1 << 16;
const BYTES_MAX: usize = 4096;
const POISON: u8 = 0xDE;

struct Poisoning {
    kept: Mutex<[(usize, usize, usize); KEPT]>,
    next: AtomicUsize,
}

#[global_allocator]
static ALLOCATOR: Poisoning = Poisoning {
    kept: Mutex::new([(0, 0, 0); KEPT]),
    next: AtomicUsize::new(0),
};

// SAFETY: the system's allocator, whose blocks are given back later than they could be.
unsafe impl GlobalAlloc for Poisoning {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if layout.size() > BYTES_MAX {
            // SAFETY: as the caller promises.
            return unsafe { System.dealloc(block, layout) };
        }
        // SAFETY: the block is the caller's until it is given back.
        unsafe { block.write_bytes(POISON, layout.size()) };
        let place = self.next.fetch_add(1, Ordering::Relaxed) % KEPT;
        let entry = (block.expose_provenance(), layout.size(), layout.align());
        let before = match self.kept.lock() {
            Ok(mut kept) => std::mem::replace(&mut kept[place], entry),
            Err(_) => return,
        };
        if before.0 != 0 {
            let block = std::ptr::with_exposed_provenance_mut(before.0);
            // SAFETY: given to this function with this layout.
            unsafe {
                let layout = Layout::from_size_align_unchecked(before.1, before.2);
                System.dealloc(block, layout);
            }
        }
    }
}
