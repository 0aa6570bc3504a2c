//! `outrider bench data`

mod fanout;
mod floors;
mod job;
mod split;
mod transfer;
mod tree;

use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use tempfile::TempDir;

use super::BenchArgs;
use super::table::{self, Figure, rounded};
use crate::failure::Failure;

/// How and where to measure.
#[derive(Args, Clone)]
pub struct DataArgs {
    #[command(flatten)]
    bench: BenchArgs,
    /// Where: on the disk that is to be measured, with 8 GB free [default: the folder for
    /// temporary files].
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
}

impl DataArgs {
    /// A folder that goes away again.
    fn folder(&self) -> Result<TempDir, Failure> {
        let made = match &self.folder {
            Some(folder) => tempfile::tempdir_in(folder),
            None => tempfile::tempdir(),
        };
        made.map_err(|error| Failure::cannot_write("a temporary folder", error))
    }
}

/// What was measured.
struct Measured {
    transfer: transfer::Measured,
    fanout: fanout::Measured,
    split: split::Measured,
}

/// Measures and prints.
pub async fn run(args: DataArgs) -> Result<(), Failure> {
    let scale = if args.bench.quick { 10 } else { 1 };
    floors::check()?;
    let measured = Measured {
        transfer: transfer::measure(args.folder()?.path(), scale).await?,
        fanout: fanout::measure(args.folder()?.path(), scale).await?,
        split: split::measure(args.folder()?.path(), scale)?,
    };
    if args.bench.json {
        crate::show::json(&measured.json());
    } else {
        table::print("data", &measured.figures());
    }
    Ok(())
}

impl Measured {
    fn json(&self) -> serde_json::Value {
        let Self {
            transfer,
            fanout,
            split,
        } = self;
        json!({ "data": {
            "full_ratio": rounded(transfer.full_ratio),
            "save_seconds": rounded(transfer.save),
            "restore_seconds": rounded(transfer.restore),
            "resave_speedup": rounded(transfer.resave_speedup),
            "resave_seconds": rounded(transfer.resave),
            "partial_restore_speedup": rounded(transfer.partial_restore_speedup),
            "partial_restore_seconds": rounded(transfer.partial),
            "fanout_server_rss_mb": rounded(fanout.rss_kb / 1024.0),
            "fanout_disk_ratio": rounded(fanout.disk_ratio()),
            "split_seconds": rounded(split.seconds),
            "floors": {
                "tar_save_seconds": rounded(transfer.pack),
                "tar_restore_seconds": rounded(transfer.unpack),
                "cp_seconds": rounded(transfer.copy),
                "sort_seconds": rounded(split.sort),
            },
        }})
    }

    fn figures(&self) -> [Figure; 6] {
        let [full, resave, partial] = self.transfer.figures();
        let [memory, disk] = self.fanout.figures();
        [full, resave, partial, memory, disk, self.split.figure()]
    }
}

impl transfer::Measured {
    fn figures(&self) -> [Figure; 3] {
        [
            Figure {
                name: "save, then restore",
                value: format!(
                    "{:.2} s + {:.2} s, {} files",
                    self.save, self.restore, self.files
                ),
                floor: format!(
                    "tar --zstd {:.2} s + {:.2} s, cp -a {:.2} s",
                    self.pack, self.unpack, self.copy
                ),
                ratio: Some(self.full_ratio),
                target: "1.0",
            },
            Figure {
                name: "save again, 1 % changed",
                value: format!(
                    "{:.2} s, {:.1} times faster",
                    self.resave, self.resave_speedup
                ),
                floor: format!("the first save {:.2} s", self.save),
                ratio: Some(1.0 / self.resave_speedup),
                target: "10 times faster",
            },
            Figure {
                name: "restore, 99 % there",
                value: format!(
                    "{:.2} s, {:.1} times faster",
                    self.partial, self.partial_restore_speedup
                ),
                floor: format!("the full restore {:.2} s", self.restore),
                ratio: Some(1.0 / self.partial_restore_speedup),
                target: "5 times faster",
            },
        ]
    }
}

impl fanout::Measured {
    fn figures(&self) -> [Figure; 2] {
        let mb = |bytes: u64| bytes as f64 / 1e6;
        [
            Figure {
                name: "one workspace to 20 tasks, the server's peak RSS",
                value: format!("{:.1} MB", self.rss_kb / 1024.0),
                floor: String::new(),
                ratio: None,
                target: "100 MB",
            },
            Figure {
                name: "the same, read from the disk",
                value: format!("{:.1} MB", mb(self.read)),
                floor: format!("its blobs {:.1} MB", mb(self.stored)),
                ratio: Some(self.disk_ratio()),
                target: "2 times",
            },
        ]
    }
}

impl split::Measured {
    fn figure(&self) -> Figure {
        Figure {
            name: "split tests by timings over 50 tasks",
            value: format!("{:.3} s, {} names", self.seconds, self.names),
            floor: format!("sort of the names {:.3} s", self.sort),
            ratio: Some(self.seconds / self.sort),
            target: "1 s",
        }
    }
}
