//! The first process of a container, spoken to as the runner does.

mod ending;
mod programs;
mod protocol;
mod scripts;
mod support;
mod tools;
