//! Jobs in containers of a real Docker Engine: the conformance suite, and faults.

#[expect(dead_code, reason = "the other tests use the rest")]
#[path = "../common/mod.rs"]
mod common;

mod checkout;
mod entrypoint;
mod faults;
mod limits;
mod lookout;
mod own_engine;
mod podman;
mod program;
mod services;
mod support;
mod warm;

use outrider_executor::conformance::{Dialect, Subject};
use outrider_testkit::docker::Image;

use self::lookout::EngineLookout;

/// The image of the suite. A subject is made inside a runtime, and making an image takes another
/// one.
fn image() -> String {
    std::thread::scope(|scope| {
        let make = || {
            let runtime = tokio::runtime::Runtime::new().expect("a runtime");
            runtime.block_on(Image::Debian.provide())
        };
        scope.spawn(make).join().expect("an image")
    })
}

fn subject() -> Subject {
    let (executor, place) = support::executor(support::settings);
    Subject::new(executor, Dialect::Shell, EngineLookout::default())
        .of_kind(support::kind(&image()))
        .keep(place)
}

outrider_executor::conformance_suite!(subject);
