//! A runner between a fake server and a fake or real executor. One binary: it links once.

mod checkout;
mod checkout_git;
mod checkout_inside;
mod checkout_mirror;
mod checkout_remote;
mod containers;
mod faults;
mod restart;
mod running;
mod secrets;
mod steps;
mod support;
mod task_secrets;
