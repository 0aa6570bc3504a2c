//! New ids, strictly growing, and the ids of tasks.
//!
//! An id that is not greater than the last one becomes the last one plus a step (RFC 9562, 6.2,
//! method 2). So "newest first" is exact within one millisecond and after the clock jumped back,
//! and a table keyed by ids fills at its end.

use std::sync::{Arc, Mutex, PoisonError};

use outrider_model::{AttemptId, JobId, PipelineId, Random, TaskId, Timestamp, TokenId};

/// How many of the last bits of a job's id are zero, to make room for its tasks.
const TASK_BITS: u32 = 24;

/// The greatest `parallelism` that there are task ids for.
pub const MAX_TASKS: u32 = (1 << TASK_BITS) - 2;

/// Makes ids.
pub struct Ids {
    random: Arc<dyn Random>,
    /// The last ids, as numbers.
    pub last: Last,
}

/// The greatest ids so far.
#[derive(Clone, Copy, Default)]
pub struct Last {
    pub pipeline: u128,
    pub job: u128,
    pub attempt: u128,
    pub token: u128,
}

impl Ids {
    pub fn new(random: Arc<dyn Random>, last: Last) -> Self {
        Self { random, last }
    }

    /// Where the bytes come from.
    pub fn random(&self) -> &dyn Random {
        &*self.random
    }

    pub fn pipeline(&mut self, now: Timestamp) -> PipelineId {
        let fresh = *PipelineId::new(now, &*self.random).as_bytes();
        PipelineId::from_bytes(grow(&mut self.last.pipeline, fresh, 0))
    }

    pub fn job(&mut self, now: Timestamp) -> JobId {
        let fresh = *JobId::new(now, &*self.random).as_bytes();
        JobId::from_bytes(grow(&mut self.last.job, fresh, TASK_BITS))
    }

    pub fn attempt(&mut self, now: Timestamp) -> AttemptId {
        let fresh = *AttemptId::new(now, &*self.random).as_bytes();
        AttemptId::from_bytes(grow(&mut self.last.attempt, fresh, 0))
    }

    pub fn token(&mut self, now: Timestamp) -> TokenId {
        let fresh = *TokenId::new(now, &*self.random).as_bytes();
        TokenId::from_bytes(grow(&mut self.last.token, fresh, 0))
    }
}

/// The task of a job with this index.
pub fn task_of(job: JobId, index: u32) -> TaskId {
    let first = u128::from_be_bytes(*job.as_bytes()) + 1;
    TaskId::from_bytes((first + u128::from(index)).to_be_bytes())
}

/// The first id that belongs to no task of the job any more.
pub fn after_tasks_of(job: JobId) -> [u8; 16] {
    (u128::from_be_bytes(*job.as_bytes()) + (1 << TASK_BITS)).to_be_bytes()
}

/// The job of a task.
pub fn job_of(task: TaskId) -> JobId {
    let number = u128::from_be_bytes(*task.as_bytes());
    JobId::from_bytes((number >> TASK_BITS << TASK_BITS).to_be_bytes())
}

/// Which of its job's tasks it is.
pub fn index_of(task: TaskId) -> u32 {
    let [.., a, b, c] = *task.as_bytes();
    u32::from_be_bytes([0, a, b, c]).saturating_sub(1)
}

/// `fresh`, or one step past `last` if that is greater.
fn grow(last: &mut u128, fresh: [u8; 16], zero_bits: u32) -> [u8; 16] {
    let fresh = squeeze(u128::from_be_bytes(fresh)) >> zero_bits << zero_bits;
    let number = fresh.max(squeeze(*last) + (1 << zero_bits));
    *last = stretch(number);
    last.to_be_bytes()
}

/// Without version and variant, so that a carry goes through.
fn squeeze(id: u128) -> u128 {
    (id >> 80 << 74) | ((id >> 64 & 0xfff) << 62) | (id & ((1 << 62) - 1))
}

/// With version 7 and the variant of RFC 9562.
fn stretch(number: u128) -> u128 {
    let (time, high, low) = (number >> 74, number >> 62 & 0xfff, number & ((1 << 62) - 1));
    (time << 80) | (7 << 76) | (high << 64) | (2 << 62) | low
}

/// Random bytes that are fetched a block at a time: one system call for many ids.
pub struct Pooled {
    source: Arc<dyn Random>,
    block: Mutex<([u8; 1024], usize)>,
}

impl Pooled {
    pub fn new(source: Arc<dyn Random>) -> Self {
        Self {
            source,
            block: Mutex::new(([0; 1024], 1024)),
        }
    }
}

impl Random for Pooled {
    fn fill(&self, buffer: &mut [u8]) {
        let mut guard = self.block.lock().unwrap_or_else(PoisonError::into_inner);
        let (block, used) = &mut *guard;
        if buffer.len() > block.len() {
            return self.source.fill(buffer);
        }
        if *used + buffer.len() > block.len() {
            self.source.fill(block);
            *used = 0;
        }
        let taken = &mut block[*used..*used + buffer.len()];
        buffer.copy_from_slice(taken);
        taken.fill(0);
        *used += buffer.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Ones;
    impl Random for Ones {
        fn fill(&self, buffer: &mut [u8]) {
            buffer.fill(0xff);
        }
    }

    #[test]
    fn ids_grow_when_the_clock_stands_still_and_when_it_jumps_back() {
        let mut ids = Ids::new(Arc::new(Ones), Last::default());
        let mut last = ids.pipeline(Timestamp::from_millis(9));
        for millis in [9, 9, 3, 0, 10] {
            let next = ids.pipeline(Timestamp::from_millis(millis));
            assert!(next > last, "{next} after {last}");
            assert_eq!(next.to_string().as_bytes()[14], b'7', "still version 7");
            last = next;
        }
    }

    #[test]
    fn a_task_knows_its_job_and_its_index() {
        let mut ids = Ids::new(Arc::new(Ones), Last::default());
        let job = ids.job(Timestamp::from_millis(5));
        let next = ids.job(Timestamp::from_millis(5));
        for index in [0, 1, 77, MAX_TASKS] {
            let task = task_of(job, index);
            assert_eq!((job_of(task), index_of(task)), (job, index));
            assert!(*task.as_bytes() < after_tasks_of(job));
            assert!(task.as_bytes() < next.as_bytes());
        }
    }
}
