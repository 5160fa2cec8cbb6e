//! Copies of memory by one core, over more of it than any cache holds.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// Bytes of each side.
const BYTES: usize = 256 << 20;
/// Bytes between two looks at the clock.
const CHUNK: usize = 4 << 20;

/// Two pieces of memory, all of which was touched.
pub(super) struct Copy {
    from: Vec<u8>,
    to: Vec<u8>,
    at: usize,
}

impl Copy {
    pub(super) fn new() -> Self {
        Copy { from: vec![1; BYTES], to: vec![2; BYTES], at: 0 }
    }

    /// Bytes copied per second, in 10^6. Each copy goes on where the one before ended, so it never finds what it left in a cache.
    pub(super) fn mb_s(&mut self, length: Duration) -> f64 {
        let began = Instant::now();
        let mut bytes = 0_usize;
        loop {
            let place = self.at..self.at + CHUNK;
            self.to[place.clone()].copy_from_slice(black_box(&self.from[place]));
            black_box(&self.to);
            self.at = (self.at + CHUNK) % BYTES;
            bytes += CHUNK;
            let elapsed = began.elapsed();
            if elapsed >= length {
                return bytes as f64 / 1e6 / elapsed.as_secs_f64();
            }
        }
    }
}
