//! A runner that is killed, and the next one on the same spool.

use std::sync::Arc;
use std::time::Duration;

use crate::support::executor::noise;
use crate::support::rig::{Rig, soon};
use crate::support::tasks::{run, task};
use outrider_model::Outcome;
use outrider_model::reason::EndReason;
use outrider_service::Shutdown;
use tokio::runtime::Runtime;

/// A process of the runner that can be killed: its tasks vanish wherever they are.
struct Process {
    runtime: Runtime,
    shutdown: Shutdown,
    ended: tokio::task::JoinHandle<Result<(), outrider_runner::RunnerError>>,
}

struct Story {
    rig: Arc<Rig>,
    observer: Runtime,
}

impl Story {
    fn begin() -> Self {
        let observer = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        Self {
            rig: Arc::new(Rig::new()),
            observer,
        }
    }

    fn start(&self) -> Process {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let shutdown = Shutdown::new();
        let ended = {
            let _inside = runtime.enter();
            outrider_service::Tasks::new().spawn(self.rig.runner().run(shutdown.clone()))
        };
        Process {
            runtime,
            shutdown,
            ended,
        }
    }

    fn wait<T>(&self, what: impl Future<Output = T>) -> T {
        let limited = async { tokio::time::timeout(Duration::from_secs(100), what).await };
        self.observer
            .block_on(limited)
            .expect("it takes far too long")
    }

    fn end(&self, process: Process) {
        process.shutdown.drain();
        self.wait(process.ended).unwrap().unwrap();
        self.rig.server.assert_lawful();
        assert_eq!(self.rig.leftovers(), 0);
    }

    fn kill(&self, process: Process) {
        drop(process.runtime);
    }
}

#[test]
fn killed_before_the_first_step_the_task_goes_back() {
    let story = Story::begin();
    let (server, world) = (&story.rig.server, &story.rig.world);
    world.with(|world| world.slow_prepare = true);
    let first = story.start();
    let id = server.queue(task([run("print x")]));
    story.wait(world.until(|world| world.counters.contains_key("preparing")));
    story.kill(first);
    let second = story.start();
    story.wait(server.until(|state| state.tasks[&id].released));
    story.end(second);
    assert!(world.scripts().is_empty());
}

#[test]
fn killed_in_a_step_the_task_is_lost_and_its_log_whole() {
    for bytes in [0, 3_000, 50_000, 2_000_000] {
        let story = Story::begin();
        let (server, world) = (&story.rig.server, &story.rig.world);
        let first = story.start();
        let script = format!("print begin\nbytes {bytes}\nprint sync\nhang");
        let id = server.queue(task([run("print one"), run(&script)]));
        story.wait(server.until(|state| state.tasks[&id].log.ends_with(b"sync\n")));
        server.change(|state| state.faults.away = true);
        story.kill(first);
        assert_eq!(world.with(|world| world.live.len()), 1, "left behind");
        server.change(|state| state.faults.away = false);
        let second = story.start();
        let finished = story.wait(server.finished(id));
        assert_eq!(finished.outcome, Outcome::Lost);
        let runner = "anna".to_owned();
        assert_eq!(finished.reason, Some(EndReason::RunnerRestarted { runner }));
        assert_eq!(
            world.with(|world| (world.live.len(), world.recovered.len())),
            (0, 1)
        );
        let mark = "[outrider] The log ends here: \
            runner anna was killed or restarted while a step ran.\n";
        let expected = [b"one\nbegin\n", &*noise(bytes), b"sync\n", mark.as_bytes()].concat();
        {
            let state = server.state();
            let record = &state.tasks[&id];
            assert!(record.log == expected, "{bytes}: the log is another one");
            let ends: Vec<_> = record
                .steps
                .iter()
                .map(|step| step.ended.as_ref().unwrap().outcome)
                .collect();
            assert_eq!(ends, [Outcome::Passed, Outcome::Lost]);
        }
        story.end(second);
    }
}

#[test]
fn killed_with_an_unanswered_end_the_end_is_told_again() {
    for arrived in [false, true] {
        let story = Story::begin();
        let server = &story.rig.server;
        let first = story.start();
        let id = server.queue(task([run("print x\ngate go\nbytes 300000"), run("exit 7")]));
        story.wait(server.until(|state| !state.tasks[&id].log.is_empty()));
        server.change(|state| {
            (state.faults.away, state.faults.lose_report_answers) = (!arrived, arrived);
        });
        story.rig.world.open("go");
        if arrived {
            story.wait(server.finished(id));
        } else {
            story.wait(
                story
                    .rig
                    .world
                    .until(|world| world.live.is_empty() && !world.execs.is_empty()),
            );
            // The end is in the spool as soon as the slot is free; there is nothing to wait for
            // but the journal itself.
            let journal = story.rig.settings.spool.join("00001.task");
            story.wait(async {
                while !std::fs::read_to_string(&journal)
                    .unwrap()
                    .contains("\"finished\"")
                {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            });
        }
        story.kill(first);
        server.change(|state| {
            (state.faults.away, state.faults.lose_report_answers) = (false, false);
        });
        let second = story.start();
        let finished = story.wait(server.finished(id));
        assert_eq!(finished.outcome, Outcome::Failed);
        assert!(matches!(
            finished.reason,
            Some(EndReason::StepFailed { step: 1, .. })
        ));
        story.end(second);
    }
}

#[test]
fn a_torn_journal_tells_what_it_still_can() {
    let story = Story::begin();
    let server = &story.rig.server;
    let first = story.start();
    let id = server.queue(task([run("print x\nhang")]));
    story.wait(server.until(|state| state.tasks[&id].log == b"x\n"));
    story.kill(first);
    let journal = story.rig.settings.spool.join("00001.task");
    let mut content = std::fs::read(&journal).unwrap();
    content.extend_from_slice(b"01957f3e-6c1a-7d2e-9c55-0a4f6b1d2e3f 00 {\"finish");
    std::fs::write(&journal, content).unwrap();
    let second = story.start();
    let finished = story.wait(server.finished(id));
    assert!(matches!(
        finished.reason,
        Some(EndReason::RunnerRestarted { .. })
    ));
    story.end(second);
}

#[test]
fn journals_that_say_nothing_are_cleared_away() {
    let story = Story::begin();
    let spool = &story.rig.settings.spool;
    std::fs::create_dir_all(spool).unwrap();
    for (name, content) in [
        ("00001.task", ""),
        ("00002.task", "-1957f3e rubbish\n"),
        ("00003.task", "a b {}\n"),
        (
            "01957f3e-6c1a-7d2e-9c55-0a4f6b1d2e3f.log",
            "bytes of nobody",
        ),
    ] {
        std::fs::write(spool.join(name), content).unwrap();
    }
    let process = story.start();
    let id = story.rig.server.queue(task([run("print x")]));
    story.wait(story.rig.server.finished(id));
    story.end(process);
}

#[test]
fn what_was_claimed_by_others_meanwhile_is_dropped() {
    let story = Story::begin();
    let server = &story.rig.server;
    let first = story.start();
    let id = server.queue(task([run("print x\nhang")]));
    story.wait(server.until(|state| state.tasks[&id].started));
    story.kill(first);
    server.change(|state| state.tasks.get_mut(&id).unwrap().stale = true);
    let second = story.start();
    let next = server.queue(task([run("print next")]));
    story.wait(server.finished(next));
    story.end(second);
    assert!(server.state().tasks[&id].finished.is_none());
}

#[test]
fn delivered_bytes_leave_the_disk_and_the_hash_survives_a_kill() {
    for lost in [false, true] {
        let story = Story::begin();
        let (server, spool) = (&story.rig.server, &story.rig.settings.spool);
        let first = story.start();
        let script = "bytes 40000000\nprint sync\nhang";
        let work = task([run(script)]);
        let file = spool.join(format!("{}.log", work.attempt));
        let id = server.queue(work);
        story.wait(server.until(|state| state.tasks[&id].log.ends_with(b"sync\n")));
        story.wait(async {
            // Two blocks of 16 MiB are delivered; what is left is below one and a half.
            let on_disk =
                || std::os::unix::fs::MetadataExt::blocks(&file.metadata().unwrap()) * 512;
            while on_disk() > 24 << 20 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        story.kill(first);
        if lost {
            server.change(|state| state.tasks.get_mut(&id).unwrap().log.clear());
        }
        let second = story.start();
        let finished = story.wait(server.finished(id));
        assert!(matches!(
            finished.reason,
            Some(EndReason::RunnerRestarted { .. })
        ));
        {
            let state = server.state();
            let log = &state.tasks[&id].log;
            assert_eq!(
                log.starts_with(b"[outrider] The server lost this part of the log"),
                lost
            );
            let tail = if lost { 36_000_000 } else { 0 };
            assert!(
                log[tail..].starts_with(&noise(40_000_000)[tail..]),
                "lost: {lost}"
            );
        }
        story.end(second);
    }
}

#[tokio::test]
async fn what_the_server_has_is_not_found_again() {
    let rig = Rig::new();
    let life = rig.start();
    let ids = [(); 3].map(|()| rig.server.queue(task([run("print x")])));
    for id in ids {
        soon(rig.server.finished(id)).await;
    }
    rig.end(life).await;
    rig.server.change(|state| state.goodbyes = 0);
    let life = rig.start();
    let next = rig.server.queue(task([run("print next")]));
    soon(rig.server.finished(next)).await;
    // The server would have complained if what it has had been given back.
    rig.end(life).await;
}
