//! Copies of memory by one core, over more of it than any cache holds.

use std::hint::black_box;
use std::time::{Duration, Instant};

use nix::sys::prctl;

/// Bytes of each side: the largest caches that one core can use today are a fraction of it.
const BYTES: usize = 256 << 20;
/// Bytes between two looks at the clock: about half a millisecond, which a pause of the machine hits or does not.
const CHUNK: usize = 4 << 20;
/// Bytes of a page.
const PAGE: usize = 4 << 10;

/// Two pieces of memory, all of which was touched.
pub(super) struct Copy {
    from: Vec<u8>,
    to: Vec<u8>,
    at: usize,
}

impl Copy {
    /// Where the system keeps memory in huge pages, how many it has left just now decides how fast a copy is. So there are none here; where that
    /// cannot be asked for, the system has none.
    pub(super) fn new() -> Self {
        let were_off = prctl::get_thp_disable();
        let _ = prctl::set_thp_disable(true);
        let mut copy = Copy { from: vec![1; BYTES], to: vec![2; BYTES], at: 0 };
        let _ = prctl::set_thp_disable(were_off.unwrap_or(false));
        // Pages of equal content may be one page to a hypervisor, and then they are in its cache.
        for (number, page) in (0_u64..).zip(copy.from.chunks_exact_mut(PAGE).chain(copy.to.chunks_exact_mut(PAGE))) {
            page[..8].copy_from_slice(&number.to_ne_bytes());
        }
        copy
    }

    /// How fast each piece was copied, in 10^6 bytes per second. Each goes on where the one before ended, so it never finds what it left in a
    /// cache.
    pub(super) fn mb_s(&mut self, length: Duration) -> Vec<f64> {
        let began = Instant::now();
        let mut rates = Vec::new();
        while began.elapsed() < length {
            let before = Instant::now();
            let place = self.at..self.at + CHUNK;
            self.to[place.clone()].copy_from_slice(black_box(&self.from[place]));
            black_box(&self.to);
            self.at = (self.at + CHUNK) % BYTES;
            rates.push(CHUNK as f64 / 1e6 / before.elapsed().as_secs_f64());
        }
        rates
    }
}
