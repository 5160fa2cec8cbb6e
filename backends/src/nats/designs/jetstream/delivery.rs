//! A job on its way: how it is written into a message, how a delivery is read as a lease, and where its ack goes.
//!
//! A message is the job number, 8 bytes with the lowest first, and the payload.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::job::{JobId, Lease, LeaseToken, NewJob};
use crate::nats::settings::Names;

/// Parts of the address for acks: `$JS.ACK.<stream>.<consumer>.<deliveries>.<place in the stream>.<number of the delivery>.<time>.<pending>`.
const PARTS: usize = 9;
/// Parts where the server has a domain, which stands with a hash of the account before the stream; more may follow.
const PARTS_WITH_DOMAIN: usize = 11;

/// Bytes of the job number.
const NUMBER_BYTES: usize = 8;

/// The message of a job.
pub(super) fn message(job: &NewJob) -> Bytes {
    let mut message = BytesMut::with_capacity(message_bytes(job));
    message.put_u64_le(job.job.0);
    message.put_slice(&job.payload);
    message.freeze()
}

/// The size of that message.
pub(super) fn message_bytes(job: &NewJob) -> usize {
    NUMBER_BYTES + job.payload.len()
}

/// The lease of a delivery: its message, and the address for its ack. `None` when it is not one of our jobs.
pub(super) fn lease(mut message: Bytes, ack_address: &str) -> Option<Lease> {
    let parts = ack_address.split('.').count();
    let of_delivery = match parts {
        PARTS => 4,
        PARTS_WITH_DOMAIN.. => 6,
        _ => return None,
    };
    let mut numbers = ack_address.strip_prefix("$JS.ACK.")?.split('.').skip(of_delivery - 2);
    let attempt = numbers.next()?.parse().ok()?;
    let token = LeaseToken([numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?]);
    let job = JobId(message.try_get_u64_le().ok()?);
    Some(Lease { job, attempt, payload: message, token })
}

/// Where the ack of `lease` goes. Time and number of pending jobs, the last two parts, are for the reader of a delivery only.
pub(super) fn ack_address(names: &Names, lease: &Lease) -> String {
    let LeaseToken([place, number]) = lease.token;
    format!("$JS.ACK.{}.{}.{}.{place}.{number}.0.0", names.stream, Names::CONSUMER, lease.attempt)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_comes_back_as_it_was_sent_and_its_ack_goes_to_its_delivery() {
        let job = NewJob { job: JobId(0x0102_0304_0506_0708), payload: Bytes::from_static(b"x.y") };
        let names = Names { stream: "s-nats_jetstream".to_owned(), subject: String::new() };
        for address in [
            "$JS.ACK.s-nats_jetstream.workers.3.1790000000000123.17.1790000000000000000.5",
            "$JS.ACK.hub.aB3.s-nats_jetstream.workers.3.1790000000000123.17.1790000000000000000.5",
            "$JS.ACK.hub.aB3.s-nats_jetstream.workers.3.1790000000000123.17.1790000000000000000.5.r4nd",
        ] {
            let lease = lease(message(&job), address).expect("ours");
            assert_eq!((lease.job, lease.attempt, &lease.payload), (job.job, 3, &job.payload), "{address}");
            assert_eq!(ack_address(&names, &lease), "$JS.ACK.s-nats_jetstream.workers.3.1790000000000123.17.0.0");
        }
    }

    #[test]
    fn what_is_no_delivery_of_ours_is_not_a_job() {
        let address = "$JS.ACK.s.workers.1.2.3.4.5";
        assert!(lease(Bytes::from_static(b"1234567"), address).is_none());
        assert!(lease(Bytes::from_static(b"12345678"), "_INBOX.1.2").is_none());
        assert!(lease(Bytes::from_static(b"12345678"), "$JS.ACK.s.workers.one.2.3.4.5").is_none());
        assert!(lease(Bytes::from_static(b"12345678"), address).is_some());
    }
}
