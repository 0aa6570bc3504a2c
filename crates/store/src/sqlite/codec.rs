//! How small things are packed into columns.

use outrider_model::plan::JobType;
use outrider_model::report::LogSpan;
use outrider_model::status::Tally;
use outrider_model::{JobId, Status, TaskId};

use super::fault::{Fault, Res};
use super::ids::job_of;
use crate::{Event, EventSeq, EventSubject};

/// Appends a number, 7 bits a byte, the lowest first.
fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// Takes a number from the front.
fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// Packs tallies one after the other.
pub fn pack_tallies(tallies: &[Tally]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(tallies.len() * Status::ALL.len());
    for count in tallies.iter().flat_map(|tally| tally.counts()) {
        put(&mut bytes, u64::from(*count));
    }
    bytes
}

/// The inverse of [`pack_tallies`].
pub fn unpack_tallies(mut bytes: &[u8]) -> Res<Vec<Tally>> {
    let mut tallies = Vec::with_capacity(bytes.len() / Status::ALL.len());
    while !bytes.is_empty() {
        let mut counts = [0; Status::ALL.len()];
        for count in &mut counts {
            *count = take(&mut bytes)
                .and_then(|number| u32::try_from(number).ok())
                .ok_or_else(|| Fault::damaged("a tally is cut off"))?;
        }
        tallies.extend(Tally::from_counts(&counts));
    }
    Ok(tallies)
}

/// One tally.
pub fn unpack_tally(bytes: &[u8]) -> Res<Tally> {
    unpack_tallies(bytes)?
        .pop()
        .ok_or_else(|| Fault::damaged("a tally is missing"))
}

/// Packs spans: offset and step, one after the other.
pub fn pack_spans(spans: &[LogSpan]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(spans.len() * 4);
    for span in spans {
        put(&mut bytes, span.offset);
        put(&mut bytes, u64::from(span.step));
    }
    bytes
}

/// The inverse of [`pack_spans`].
pub fn unpack_spans(mut bytes: &[u8]) -> Res<Vec<LogSpan>> {
    let mut spans = Vec::new();
    while !bytes.is_empty() {
        let span = take(&mut bytes)
            .zip(take(&mut bytes))
            .and_then(|(offset, step)| {
                Some(LogSpan {
                    offset,
                    step: u32::try_from(step).ok()?,
                })
            });
        spans.push(span.ok_or_else(|| Fault::damaged("a span is cut off"))?);
    }
    Ok(spans)
}

/// What changed its status, and to what.
pub type Item = (EventSubject, Status);

/// Packs what one transaction changed in a pipeline.
pub fn pack_items(items: &[Item]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(items.len() * 18);
    for (subject, status) in items {
        let (kind, id) = match subject {
            EventSubject::Pipeline => (0, None),
            EventSubject::Job(job) => (1, Some(job.as_bytes())),
            EventSubject::Task(_, task) => (2, Some(task.as_bytes())),
        };
        bytes.extend([kind, status.code()]);
        bytes.extend(id.into_iter().flatten());
    }
    bytes
}

/// The inverse of [`pack_items`].
fn unpack_items(mut bytes: &[u8]) -> Res<Vec<Item>> {
    let cut = || Fault::damaged("an event is cut off");
    let mut items = Vec::new();
    while let [kind, code, rest @ ..] = bytes {
        let id = rest.first_chunk::<16>();
        let subject = match kind {
            0 => EventSubject::Pipeline,
            1 => EventSubject::Job(JobId::from_bytes(*id.ok_or_else(cut)?)),
            _ => {
                let task = TaskId::from_bytes(*id.ok_or_else(cut)?);
                EventSubject::Task(job_of(task), task)
            }
        };
        items.push((subject, status(*code)?));
        bytes = if *kind == 0 { rest } else { &rest[16..] };
    }
    Ok(items)
}

/// The events of one row, of which `last` is the number of the last.
pub fn events(last: u64, at: outrider_model::Timestamp, bytes: &[u8]) -> Res<Vec<Event>> {
    let items = unpack_items(bytes)?;
    let first = (last + 1).saturating_sub(items.len() as u64);
    let number = |(seq, (subject, status))| Event {
        seq: EventSeq(seq),
        at,
        subject,
        status,
    };
    Ok((first..).zip(items).map(number).collect())
}

/// The status with this storage number.
pub fn status(code: u8) -> Res<Status> {
    Status::from_code(code).ok_or_else(|| Fault::damaged(format!("{code} is not a status")))
}

/// The type of job with this storage number, which is its place in [`JobType::ALL`].
pub fn job_type(code: u8) -> Res<JobType> {
    let known = JobType::ALL.get(usize::from(code)).copied();
    known.ok_or_else(|| Fault::damaged(format!("{code} is not a type of job")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_is_unpacked() {
        let tallies = [
            Tally::of([Status::Queued; 300]),
            Tally::of([Status::Running]),
        ];
        assert_eq!(unpack_tallies(&pack_tallies(&tallies)).unwrap(), tallies);
        let spans = [
            LogSpan { offset: 0, step: 0 },
            LogSpan {
                offset: u64::MAX,
                step: u32::MAX,
            },
        ];
        assert_eq!(unpack_spans(&pack_spans(&spans)).unwrap(), spans);
        assert!(unpack_spans(&[0x80]).is_err());
        assert!(unpack_tallies(&[1, 2]).is_err());
    }

    #[test]
    fn events_of_one_row_are_numbered_up_to_its_number() {
        let task = TaskId::from_bytes([1; 16]);
        let items = [
            (EventSubject::Task(job_of(task), task), Status::Running),
            (EventSubject::Job(job_of(task)), Status::Running),
            (EventSubject::Pipeline, Status::Running),
        ];
        let read = events(9, outrider_model::Timestamp::default(), &pack_items(&items)).unwrap();
        assert_eq!(
            read.iter().map(|event| event.seq.0).collect::<Vec<_>>(),
            [7, 8, 9]
        );
        assert_eq!(
            read.iter()
                .map(|event| (event.subject, event.status))
                .collect::<Vec<_>>(),
            items
        );
    }
}
