//! Order, as far as it is declared: seen by one consumer, with one producer, while nothing fails.

use super::stage::{Checked, Failure, Knobs, Stage, drain, ensure_exactly, jobs, numbers};

cases! {
    "order.fifo", fifo(), [Fifo],
    "Jobs come in the order in which they were enqueued, over batches of any size.";
    "order.fifo_per_partition", fifo_per_partition(), [FifoPerPartition],
    "Jobs come as if merged from at most 32 sequences, each of which keeps the order of enqueuing.";
}

/// Most partitions that a backend may have (METHODOLOGY F3 offers 16 and 32).
const PARTITIONS_MAX: usize = 32;

/// Enough that an arbitrary order is told from a merge: its longest falling run is about 2 x sqrt(2,000) = 89 jobs.
const JOBS: u64 = 2_000;

/// Enqueues in uneven batches and gives the numbers in the order in which they were delivered.
async fn delivered(stage: Stage) -> Checked<Vec<u64>> {
    let mut queue = stage.set_up(Knobs::default()).await?;
    let mut producer = queue.producer().await?;
    let mut consumer = queue.consumer().await?;
    let largest = queue.capabilities.max_enqueue_batch.get() as usize;
    let mut rest = &jobs(0..JOBS)[..];
    for size in [1, 50, 3, 17, 100].into_iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (batch, later) = rest.split_at(rest.len().min(size).min(largest));
        producer.enqueue(batch).await?;
        rest = later;
    }
    let done = drain(&mut consumer, JOBS as usize, 23).await?;
    ensure_exactly(&done, 0..JOBS)?;
    Ok(numbers(&done))
}

async fn fifo(stage: Stage) -> Checked {
    let order = delivered(stage).await?;
    match order.windows(2).find(|pair| pair[1] < pair[0]) {
        None => Ok(()),
        Some(pair) => Err(Failure(format!("job {} came after job {}", pair[1], pair[0]))),
    }
}

async fn fifo_per_partition(stage: Stage) -> Checked {
    let order = delivered(stage).await?;
    let needed = rising_sequences(&order);
    ensure!(
        needed <= PARTITIONS_MAX,
        "the order can only be explained by {needed} partitions, more than {PARTITIONS_MAX}"
    )
}

/// Fewest rising sequences that `order` can be a merge of. Greedy: each number goes to the sequence with the largest end
/// below it, which is optimal (Dilworth: the count equals the longest falling subsequence).
fn rising_sequences(order: &[u64]) -> usize {
    // Ends of the sequences so far, falling.
    let mut ends: Vec<u64> = Vec::new();
    for number in order {
        let place = ends.partition_point(|end| end > number);
        match ends.get_mut(place) {
            Some(end) => *end = *number,
            None => ends.push(*number),
        }
    }
    ends.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merges_are_told_from_disorder() {
        assert_eq!(rising_sequences(&[0, 1, 2, 3]), 1);
        assert_eq!(rising_sequences(&[3, 2, 1, 0]), 4);
        assert_eq!(rising_sequences(&[1, 0, 3, 2, 5, 4]), 2);
        let merged: Vec<u64> = (0..4).flat_map(|partition| (0..500).map(move |step| step * 4 + partition)).collect();
        assert_eq!(rising_sequences(&merged), 4);
        // A disorder that is the same in each run: multiplying, turning and multiplying again mixes the bits.
        let mut scrambled: Vec<u64> = (0..2_000).collect();
        scrambled.sort_by_key(|number: &u64| {
            number.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29).wrapping_mul(0xD6E8_FEB8_6659_FD93)
        });
        assert!(rising_sequences(&scrambled) > PARTITIONS_MAX);
    }
}
