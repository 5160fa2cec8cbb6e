//! Payloads are bytes: whatever goes in comes out.

use bytes::Bytes;

use super::stage::{Checked, Knobs, Stage, drain};
use crate::job::{JobId, NewJob};

cases! {
    "payload.empty", intact(vec![Vec::new()]), [],
    "A payload of no bytes comes back empty.";
    "payload.one_byte", intact((0..=255).map(|byte| vec![byte]).collect()), [],
    "Every payload of a single byte comes back, 0x00 and 0xFF included.";
    "payload.64_kib", intact(vec![scrambled(65_536)]), [],
    "A payload of 64 KiB comes back whole.";
    "payload.arbitrary_bytes", intact(troublesome()), [],
    "Payloads that are no text in any encoding come back byte for byte.";
    "payload.mixed_in_one_batch", intact([0, 1, 10_000, 3, 0, 512, 40_000, 2].map(scrambled).to_vec()), [],
    "Payloads of very different sizes keep their jobs when they travel in one batch.";
}

/// Bytes of every value in no order, the same in each run.
fn scrambled(length: usize) -> Vec<u8> {
    (0..length).map(|index| ((index as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8).collect()
}

/// Bytes that text handling, quoting or a protocol could stumble over.
fn troublesome() -> Vec<Vec<u8>> {
    vec![
        (0..=255).collect(),
        vec![0; 100],
        vec![0xFF; 100],
        vec![0xC3, 0x28, 0xA0, 0xA1, 0xE2, 0x82],
        b"'; DROP TABLE jobs; --\\x00\"".to_vec(),
        b"\r\n$5\r\nhello\r\n*1\r\n".to_vec(),
        b"\\x6a6f62".to_vec(),
        "\u{1F980} \u{0}".as_bytes().to_vec(),
    ]
}

async fn intact(stage: Stage, payloads: Vec<Vec<u8>>) -> Checked {
    let (mut queue, mut consumer) = stage.set_up_with_consumer(Knobs::default()).await?;
    let jobs: Vec<NewJob> = (0..)
        .zip(&payloads)
        .map(|(number, payload)| NewJob { job: JobId(number), payload: Bytes::copy_from_slice(payload) })
        .collect();
    queue.enqueue(&jobs).await?;
    for lease in drain(&mut consumer, payloads.len(), 100).await? {
        let sent = payloads.get(lease.job.0 as usize);
        let (intact, length) = (sent.is_some_and(|sent| *sent == lease.payload[..]), sent.map_or(0, Vec::len));
        let (number, came) = (lease.job.0, lease.payload.len());
        ensure!(intact, "the {length} bytes of job {number} came back as {came} other bytes")?;
    }
    Ok(())
}
