//! The memory of one Lua state: an allocator that knows its limit and can be freed as a whole,
//! also when the state was stopped in the middle of an instruction.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error, realloc};
use std::ffi::c_void;
use std::ptr::{self, NonNull};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};
use std::thread;

use super::preempt::{Suspension, with_control};

const CLASS_BYTES: usize = 16;
/// Blocks above this size come from the global allocator, one by one.
const SMALL_BYTES: usize = 512;
const CLASSES: usize = SMALL_BYTES / CLASS_BYTES;
const FIRST_CHUNK_BYTES: usize = 8 << 10;
const CHUNK_BYTES: usize = 32 << 10;
/// An arena of more bytes than this is freed on a thread of its own (it takes milliseconds).
const BACKGROUND_FREE_BYTES: usize = 4 << 20;
/// A script that is refused so often, with collections that gain next to nothing, ends here.
const REFUSALS_MAX: u32 = 16;
const ALIGNMENT: usize = 16;

/// A free block; its first word links to the next of its class.
struct FreeBlock {
    next: *mut FreeBlock,
}

/// Precedes each large block, in a circle through the arena's own header.
#[repr(C, align(16))]
struct LargeHeader {
    previous: *mut LargeHeader,
    next: *mut LargeHeader,
    bytes: usize,
}

const HEADER_BYTES: usize = size_of::<LargeHeader>();

/// What became of a request.
enum Allocation {
    Block(*mut c_void),
    /// Lua should collect garbage and ask again.
    Refused,
    /// Asking again would not help.
    Hopeless,
}

/// The allocator of one Lua state.
pub(super) struct Arena {
    free: [*mut FreeBlock; CLASSES],
    unused: *mut u8,
    unused_bytes: usize,
    chunks: Vec<(NonNull<u8>, Layout)>,
    large: *mut LargeHeader,
    used_bytes: usize,
    reserved_bytes: usize,
    start_bytes: usize,
    limit_bytes: usize,
    refusals: u32,
    refused_last: bool,
    was_refused: bool,
}

// SAFETY: the arena owns its blocks alone; it is moved to another thread only to be freed, when
// no Lua state uses it any more.
unsafe impl Send for Arena {}

impl Arena {
    pub(super) fn new() -> Box<Arena> {
        Box::new(Arena {
            free: [ptr::null_mut(); CLASSES],
            unused: ptr::null_mut(),
            unused_bytes: 0,
            chunks: Vec::new(),
            large: ptr::null_mut(),
            used_bytes: 0,
            reserved_bytes: 0,
            start_bytes: 0,
            limit_bytes: usize::MAX,
            refusals: 0,
            refused_last: false,
            was_refused: false,
        })
    }

    /// Allows `limit_bytes` more than what is in use now, until the next call.
    pub(super) fn begin_run(&mut self, limit_bytes: usize) {
        self.start_bytes = self.used_bytes;
        self.limit_bytes = limit_bytes;
        self.refusals = 0;
        self.refused_last = false;
        self.was_refused = false;
    }

    /// Bytes that the run may use.
    pub(super) fn limit_bytes(&self) -> usize {
        self.limit_bytes
    }

    /// Bytes in use beyond what was in use when the run began.
    pub(super) fn run_bytes(&self) -> usize {
        self.used_bytes.saturating_sub(self.start_bytes)
    }

    /// Whether the run was refused memory, if only until garbage was collected.
    pub(super) fn was_refused(&self) -> bool {
        self.was_refused
    }

    /// Bytes that Lua uses.
    pub(super) fn used_bytes(&self) -> usize {
        self.used_bytes
    }

    /// Bytes taken from the system.
    pub(super) fn reserved_bytes(&self) -> usize {
        self.reserved_bytes
    }

    /// Decides whether the run may have `more` bytes. Rust code on a script's behalf is never
    /// refused, for an error could not be raised through it; the trampoline checks after it.
    fn admit(&mut self, more: usize, refusable: bool) -> Result<(), Allocation> {
        let wanted = self.run_bytes().saturating_add(more);
        if !refusable || wanted <= self.limit_bytes {
            if self.refused_last && wanted <= self.limit_bytes - self.limit_bytes / 8 {
                // The collection was worth its time: not a sign of a run at its end.
                self.refusals = 0;
            }
            self.refused_last = false;
            return Ok(());
        }
        self.refusals += 1;
        self.was_refused = true;
        if self.refused_last || more > self.limit_bytes || self.refusals > REFUSALS_MAX {
            return Err(Allocation::Hopeless);
        }
        self.refused_last = true;
        Err(Allocation::Refused)
    }

    /// The common cases without a detour: a small block from its free list, and back.
    #[inline]
    fn serve(&mut self, block: *mut c_void, old: usize, new: usize, refusable: bool) -> Allocation {
        if block.is_null() && new.wrapping_sub(1) < SMALL_BYTES {
            let class = (new - 1) / CLASS_BYTES;
            let bytes = class_bytes(class);
            let head = self.free[class];
            if !head.is_null() && self.run_bytes() + bytes <= self.limit_bytes && !self.refused_last
            {
                // SAFETY: blocks in a free list belong to this arena and hold a link.
                self.free[class] = unsafe { (*head).next };
                self.used_bytes += bytes;
                return Allocation::Block(head.cast());
            }
        } else if new == 0 && old.wrapping_sub(1) < SMALL_BYTES && !block.is_null() {
            self.release(block, old);
            return Allocation::Block(ptr::null_mut());
        }
        self.reallocate(block, old, new, refusable)
    }

    #[inline(never)]
    fn reallocate(
        &mut self,
        block: *mut c_void,
        old: usize,
        new: usize,
        refusable: bool,
    ) -> Allocation {
        if new == 0 {
            self.release(block, old);
            return Allocation::Block(ptr::null_mut());
        }
        let old = if block.is_null() { 0 } else { old };
        if old > 0 && old <= SMALL_BYTES && new <= SMALL_BYTES && class(old) == class(new) {
            return Allocation::Block(block);
        }
        if new > old
            && let Err(answer) = self.admit(new - old, refusable)
        {
            return answer;
        }
        if old > SMALL_BYTES && new > SMALL_BYTES {
            return Allocation::Block(self.resize_large(block, new));
        }
        let moved = if new <= SMALL_BYTES {
            self.take_small(class(new))
        } else {
            self.take_large(new)
        };
        if old > 0 {
            // SAFETY: both blocks are live, distinct and at least this long.
            unsafe {
                ptr::copy_nonoverlapping(block.cast::<u8>(), moved.cast::<u8>(), old.min(new))
            };
            self.release(block, old);
        }
        Allocation::Block(moved)
    }

    fn release(&mut self, block: *mut c_void, old: usize) {
        if block.is_null() || old == 0 {
            return;
        }
        if old <= SMALL_BYTES {
            let class = class(old);
            self.used_bytes -= class_bytes(class);
            self.give_small(block.cast(), class);
        } else {
            self.free_large(block);
        }
    }

    fn give_small(&mut self, block: *mut FreeBlock, class: usize) {
        // SAFETY: the block belongs to this arena, is free and holds at least one word.
        unsafe { (*block).next = self.free[class] };
        self.free[class] = block;
    }

    fn take_small(&mut self, class: usize) -> *mut c_void {
        let bytes = class_bytes(class);
        self.used_bytes += bytes;
        let block = self.free[class];
        if !block.is_null() {
            // SAFETY: blocks in a free list belong to this arena and hold a link.
            self.free[class] = unsafe { (*block).next };
            return block.cast();
        }
        if self.unused_bytes < bytes {
            self.add_chunk();
        }
        let block = self.unused;
        // SAFETY: `bytes` more bytes are unused, so the result is within or one past the chunk.
        self.unused = unsafe { block.add(bytes) };
        self.unused_bytes -= bytes;
        block.cast()
    }

    fn add_chunk(&mut self) {
        if self.unused_bytes >= CLASS_BYTES {
            let rest = self.unused.cast();
            self.give_small(rest, class(self.unused_bytes));
        }
        let bytes = if self.chunks.is_empty() {
            FIRST_CHUNK_BYTES
        } else {
            CHUNK_BYTES
        };
        let layout = layout_of(bytes);
        // SAFETY: the layout is not empty.
        let chunk = unsafe { alloc(layout) };
        let Some(start) = NonNull::new(chunk) else {
            handle_alloc_error(layout)
        };
        self.chunks.push((start, layout));
        self.reserved_bytes += bytes;
        self.unused = chunk;
        self.unused_bytes = bytes;
    }

    fn take_large(&mut self, bytes: usize) -> *mut c_void {
        let layout = layout_of(bytes + HEADER_BYTES);
        // SAFETY: the layout is not empty.
        let header = unsafe { alloc(layout) }.cast::<LargeHeader>();
        if header.is_null() {
            handle_alloc_error(layout);
        }
        let first = LargeHeader {
            previous: ptr::null_mut(),
            next: self.large,
            bytes,
        };
        // SAFETY: freshly allocated, large enough and aligned.
        unsafe { header.write(first) };
        self.link_large(header);
        self.used_bytes += bytes;
        self.reserved_bytes += bytes;
        // SAFETY: the block goes on behind its header.
        unsafe { header.add(1) }.cast()
    }

    /// Makes the list point at `header`, whose own links are right.
    fn link_large(&mut self, header: *mut LargeHeader) {
        // SAFETY: `header` is live and so are its neighbours, which are in this arena's list.
        unsafe {
            let (previous, next) = ((*header).previous, (*header).next);
            if previous.is_null() {
                self.large = header;
            } else {
                (*previous).next = header;
            }
            if !next.is_null() {
                (*next).previous = header;
            }
        }
    }

    fn resize_large(&mut self, block: *mut c_void, new: usize) -> *mut c_void {
        // SAFETY: a large block follows its header.
        let header = unsafe { block.cast::<LargeHeader>().sub(1) };
        // SAFETY: the header is live.
        let old = unsafe { (*header).bytes };
        let layout = layout_of(old + HEADER_BYTES);
        // SAFETY: allocated with this layout, and the new size is not zero.
        let moved = unsafe { realloc(header.cast(), layout, new + HEADER_BYTES) };
        let header = moved.cast::<LargeHeader>();
        if header.is_null() {
            handle_alloc_error(layout_of(new + HEADER_BYTES));
        }
        // SAFETY: realloc has kept the header's content.
        unsafe { (*header).bytes = new };
        self.link_large(header);
        self.used_bytes = self.used_bytes - old + new;
        self.reserved_bytes = self.reserved_bytes - old + new;
        // SAFETY: the block goes on behind its header.
        unsafe { header.add(1) }.cast()
    }

    fn free_large(&mut self, block: *mut c_void) {
        // SAFETY: a large block follows its header, and header and neighbours are live.
        unsafe {
            let header = block.cast::<LargeHeader>().sub(1);
            let LargeHeader {
                previous,
                next,
                bytes,
            } = header.read();
            if previous.is_null() {
                self.large = next;
            } else {
                (*previous).next = next;
            }
            if !next.is_null() {
                (*next).previous = previous;
            }
            self.used_bytes -= bytes;
            self.reserved_bytes -= bytes;
            dealloc(header.cast(), layout_of(bytes + HEADER_BYTES));
        }
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        let mut header = self.large;
        while !header.is_null() {
            // SAFETY: the list holds live blocks of this arena, each freed once.
            unsafe {
                let LargeHeader { next, bytes, .. } = header.read();
                dealloc(header.cast(), layout_of(bytes + HEADER_BYTES));
                header = next;
            }
        }
        for (chunk, layout) in self.chunks.drain(..) {
            // SAFETY: allocated by `add_chunk` with this layout.
            unsafe { dealloc(chunk.as_ptr(), layout) };
        }
    }
}

fn class(bytes: usize) -> usize {
    bytes.div_ceil(CLASS_BYTES).min(CLASSES) - 1
}

fn class_bytes(class: usize) -> usize {
    (class + 1) * CLASS_BYTES
}

fn layout_of(bytes: usize) -> Layout {
    match Layout::from_size_align(bytes, ALIGNMENT) {
        Ok(layout) => layout,
        Err(_) => handle_alloc_error(Layout::new::<LargeHeader>()),
    }
}

/// Lua's allocator function; `arena` is an `Arena`.
///
/// # Safety
/// As for `lua_Alloc`; `arena` is live and used by one Lua state alone.
pub(super) unsafe extern "C" fn allocate(
    arena: *mut c_void,
    block: *mut c_void,
    old: usize,
    new: usize,
) -> *mut c_void {
    with_control(|control| {
        let preemptible = control.enter_rust();
        // SAFETY: the caller's promise; the reference ends before any suspension.
        let answer = unsafe { (*arena.cast::<Arena>()).serve(block, old, new, preemptible) };
        let result = match answer {
            Allocation::Block(block) => block,
            Allocation::Refused => ptr::null_mut(),
            Allocation::Hopeless => loop {
                control.suspend(Suspension::OutOfMemory);
            },
        };
        if preemptible {
            control.suspend_if_pending();
            control.enter_lua();
        }
        result
    })
}

/// Frees an arena; a grown one in the background.
pub(super) fn discard(arena: Box<Arena>) {
    static GRAVE: OnceLock<Option<Sender<Box<Arena>>>> = OnceLock::new();
    if arena.reserved_bytes() <= BACKGROUND_FREE_BYTES {
        return;
    }
    let grave = GRAVE.get_or_init(|| {
        let (sender, receiver) = channel::<Box<Arena>>();
        let free_all = move || receiver.into_iter().for_each(drop);
        thread::Builder::new()
            .name("script-memory".into())
            .spawn(free_all)
            .ok()
            .map(|_| sender)
    });
    if let Some(sender) = grave {
        // A failed send hands the arena back, which frees it here.
        drop(sender.send(arena));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Calls the allocator as Lua does, with memory refused where Lua could bear it.
    fn request(arena: &mut Arena, block: *mut c_void, old: usize, new: usize) -> Allocation {
        arena.serve(block, old, new, true)
    }

    fn granted(allocation: Allocation) -> *mut c_void {
        match allocation {
            Allocation::Block(block) => block,
            Allocation::Refused | Allocation::Hopeless => panic!("refused"),
        }
    }

    #[test]
    fn blocks_keep_their_content_and_every_byte_comes_back() {
        let mut arena = Arena::new();
        let mut blocks: Vec<(*mut c_void, usize, u8)> = Vec::new();
        let mut seed = 1_u64;
        for round in 0..20_000_u32 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let size = 1 + (seed >> 40) as usize % if round % 7 == 0 { 9000 } else { 600 };
            let fill = round as u8;
            let victim = (seed >> 20) as usize % (blocks.len() + 100);
            if let Some((block, old, expected)) = blocks.get(victim).copied() {
                // SAFETY: the block is live and `old` bytes long.
                let content = unsafe { std::slice::from_raw_parts(block.cast::<u8>(), old) };
                assert!(
                    content.iter().all(|&byte| byte == expected),
                    "round {round}"
                );
                if seed >> 63 == 0 {
                    granted(request(&mut arena, block, old, 0));
                    blocks.swap_remove(victim);
                    continue;
                }
                let moved = granted(request(&mut arena, block, old, size));
                // SAFETY: the block is live and `size` bytes long.
                let content = unsafe { std::slice::from_raw_parts(moved.cast::<u8>(), size) };
                assert!(
                    content.iter().take(old).all(|&byte| byte == expected),
                    "round {round}"
                );
                // SAFETY: as above.
                unsafe { ptr::write_bytes(moved.cast::<u8>(), fill, size) };
                blocks[victim] = (moved, size, fill);
            } else {
                let block = granted(request(&mut arena, ptr::null_mut(), 4, size));
                assert!((block as usize).is_multiple_of(ALIGNMENT));
                // SAFETY: the block is live and `size` bytes long.
                unsafe { ptr::write_bytes(block.cast::<u8>(), fill, size) };
                blocks.push((block, size, fill));
            }
        }
        assert!(blocks.len() > 10);
        for (block, size, _) in blocks {
            granted(request(&mut arena, block, size, 0));
        }
        assert_eq!(arena.used_bytes(), 0);
    }

    #[test]
    fn the_second_refusal_in_a_row_is_the_last() {
        let mut arena = Arena::new();
        arena.begin_run(10_000);
        let first = granted(request(&mut arena, ptr::null_mut(), 0, 6_000));
        assert!(matches!(
            request(&mut arena, ptr::null_mut(), 0, 6_000),
            Allocation::Refused
        ));
        assert!(arena.was_refused());
        granted(request(&mut arena, first, 6_000, 0));
        let second = granted(request(&mut arena, ptr::null_mut(), 0, 6_000));
        assert!(matches!(
            request(&mut arena, ptr::null_mut(), 0, 6_000),
            Allocation::Refused
        ));
        assert!(matches!(
            request(&mut arena, ptr::null_mut(), 0, 6_000),
            Allocation::Hopeless
        ));
        granted(request(&mut arena, second, 6_000, 0));
        assert!(matches!(
            request(&mut arena, ptr::null_mut(), 0, 10_001),
            Allocation::Hopeless
        ));
        assert!(matches!(
            arena.serve(ptr::null_mut(), 0, 20_000, false),
            Allocation::Block(_)
        ));
    }
}
