//! Steps of a fixed loop: multiplications and shifts that each wait for the one before, in registers alone.

use std::hint::black_box;
use std::sync::Barrier;
use std::time::{Duration, Instant};

/// Steps between two looks at the clock.
const BATCH: u64 = 1 << 15;

/// Steps per microsecond (millions per second) of `threads` at once, added up.
pub(super) fn steps_per_us(threads: u32, length: Duration) -> f64 {
    let together = Barrier::new(threads as usize);
    std::thread::scope(|scope| {
        let each = |_| {
            scope.spawn(|| {
                together.wait();
                run(length)
            })
        };
        let all: Vec<_> = (0..threads).map(each).collect();
        all.into_iter().map(|thread| thread.join().unwrap_or(0.0)).sum()
    })
}

fn run(length: Duration) -> f64 {
    let began = Instant::now();
    let (mut steps, mut state) = (0_u64, black_box(0x9E37_79B9_7F4A_7C15_u64));
    loop {
        for _ in 0..BATCH {
            // Steele, Lea, Flood: Fast splittable pseudorandom number generators (OOPSLA 2014).
            state = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        }
        state = black_box(state | 1);
        steps += BATCH;
        let elapsed = began.elapsed();
        if elapsed >= length {
            return steps as f64 / (elapsed.as_secs_f64() * 1e6);
        }
    }
}
