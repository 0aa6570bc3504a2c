//! Which of the names are this task's.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use outrider_test_data::split::{fill_with_mean, weight};
use outrider_test_data::{Kind, Partition};

use super::names;
use super::timings::{Known, known_timings};
use crate::args::duration;
use crate::failure::{Failure, code};
use crate::show::hint;

#[derive(Args)]
pub struct SplitArgs {
    /// What decides: the order of names, the sizes of files, or how long tests took before.
    #[arg(long, value_enum, default_value = "name", value_name = "BY")]
    split_by: SplitBy,
    /// What the names are: files, classes or tests. By default whatever the timings know most of.
    #[arg(long, value_enum, default_value = "autodetect", value_name = "TYPE")]
    timings_type: TimingsType,
    /// Which task this is, from 0.
    #[arg(
        long,
        env = "CIRCLE_NODE_INDEX",
        default_value = "0",
        value_name = "NUMBER"
    )]
    index: usize,
    /// How many tasks there are.
    #[arg(
        long,
        env = "CIRCLE_NODE_TOTAL",
        default_value = "1",
        value_name = "NUMBER"
    )]
    total: usize,
    /// Say on stderr how many names this task gets.
    #[arg(long)]
    show_counts: bool,
    /// How long a test takes that has no timing, for example 10s. By default the mean of those
    /// that have one.
    #[arg(long, value_parser = duration, value_name = "TIME")]
    time_default: Option<Duration>,
    /// A file with timings, in place of those that the runner brings.
    #[arg(long, value_name = "FILE")]
    timings_file: Option<PathBuf>,
    /// Say more on stderr.
    #[arg(short, long)]
    pub verbose: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum SplitBy {
    #[value(alias = "names")]
    Name,
    #[value(alias = "filesizes")]
    Filesize,
    #[value(alias = "timing")]
    Timings,
}

#[derive(Clone, Copy, ValueEnum)]
enum TimingsType {
    #[value(aliases = ["file", "filepath"])]
    Filename,
    #[value(alias = "class")]
    Classname,
    #[value(aliases = ["name", "test"])]
    Testname,
    #[value(alias = "auto")]
    Autodetect,
}

impl TimingsType {
    const fn kinds(self) -> &'static [Kind] {
        match self {
            Self::Filename => &[Kind::File],
            Self::Classname => &[Kind::Class],
            Self::Testname => &[Kind::Name],
            Self::Autodetect => &Kind::ALL,
        }
    }
}

/// Names dealt out, and by which weights.
struct Split {
    partition: Partition,
    /// In microseconds, if it is timings.
    times: Option<Vec<u64>>,
}

impl SplitArgs {
    /// Those of the names that are this task's, in their order.
    pub fn share<'a>(&self, names: &[&'a [u8]]) -> Result<Vec<&'a [u8]>, Failure> {
        self.check()?;
        let split = self.split(names)?;
        let share: Vec<_> = split
            .partition
            .share(self.index)
            .map(|at| names[at])
            .collect();
        if self.show_counts || self.verbose {
            self.show(&split, share.len(), names.len());
        }
        Ok(share)
    }

    fn check(&self) -> Result<(), Failure> {
        let (index, total) = (self.index, self.total);
        if index < total {
            return Ok(());
        }
        let text = format!("there is no task {index} among {total}");
        Err(Failure::new(code::FAILED, text).advise(
            "Tasks are counted from 0: give --index a number below --total, or leave both out in a \
             job, where CIRCLE_NODE_INDEX and CIRCLE_NODE_TOTAL tell them.",
        ))
    }

    fn split(&self, names: &[&[u8]]) -> Result<Split, Failure> {
        let by_name = || Split {
            partition: Partition::by_name(names, self.total),
            times: None,
        };
        match self.split_by {
            SplitBy::Name => Ok(by_name()),
            SplitBy::Filesize => {
                let sizes = fill_with_mean(&sizes(names));
                let partition = Partition::by_weight(names, &sizes, self.total);
                Ok(Split {
                    partition,
                    times: None,
                })
            }
            SplitBy::Timings => {
                let times = self.times(names)?;
                Ok(times.map_or_else(by_name, |times| Split {
                    partition: Partition::by_weight(names, &times, self.total),
                    times: Some(times),
                }))
            }
        }
    }

    /// How long each test takes. `None`, and why on stderr, if nothing is known of any.
    fn times(&self, names: &[&[u8]]) -> Result<Option<Vec<u64>>, Failure> {
        let file = self.timings_file.as_deref();
        let known = match known_timings(file, names, self.timings_type.kinds())? {
            Known::Nothing(why) => {
                hint!("{why}");
                return Ok(None);
            }
            Known::Times(known) => known,
        };
        if self.verbose {
            let count = known.times.iter().flatten().count();
            hint!(
                "{count} of {} names have a timing by {}",
                names.len(),
                known.kind.as_str()
            );
        }
        let default = self.time_default;
        let times = known
            .times
            .into_iter()
            .map(|time| time.or(default).map(weight));
        Ok(Some(fill_with_mean(&times.collect::<Vec<_>>())))
    }

    fn show(&self, split: &Split, count: usize, of: usize) {
        let (index, total) = (self.index, self.total);
        let Some(times) = &split.times else {
            hint!("Task {index} of {total} has {count} of {of} names.");
            return;
        };
        let loads = split.partition.loads(times);
        let seconds = |micros: u64| Duration::from_micros(micros).as_secs_f64();
        let longest = loads.iter().max().copied().unwrap_or(0);
        hint!(
            "Task {index} of {total} has {count} of {of} names, about {:.1} s; the longest task \
             has about {:.1} s.",
            seconds(loads[index]),
            seconds(longest)
        );
    }
}

/// The sizes of files, as far as there are files.
fn sizes(names: &[&[u8]]) -> Vec<Option<u64>> {
    let size = |name: &&[u8]| {
        std::fs::metadata(names::path(name))
            .ok()
            .map(|found| found.len())
    };
    names.iter().map(size).collect()
}
