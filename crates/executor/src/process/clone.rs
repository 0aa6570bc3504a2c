//! The one place that makes a process.
//!
//! `std::process` can start a child either fast or inside a cgroup, not both: what must happen
//! between the two halves of a `fork` makes it copy the page tables of the whole runner, and moving
//! a process into a cgroup by a write waits for every processor. So this calls `clone` itself, the
//! way posix_spawn(3) does: the child borrows the memory of the parent, which sleeps until the
//! child has executed its program, and is born inside the cgroup.

use std::ffi::{CStr, c_char};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicI32, Ordering};

/// What the child becomes.
pub(crate) struct Program<'a> {
    pub path: &'a CStr,
    /// Ends with a null pointer, as does `environment`.
    pub arguments: &'a [*const c_char],
    pub environment: &'a [*const c_char],
    pub directory: &'a CStr,
    pub stdin: BorrowedFd<'a>,
    pub stdout: BorrowedFd<'a>,
    pub stderr: BorrowedFd<'a>,
    pub cgroup: Option<BorrowedFd<'a>>,
    /// Whether it becomes a session of its own, else only a process group. Both have no terminal.
    pub new_session: bool,
    /// Whom it becomes; otherwise it stays who we are.
    pub credentials: Option<&'a Credentials>,
    /// Whether it is to be ended before us when memory runs out.
    pub expendable: bool,
}

/// Who a process is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Credentials {
    pub uid: u32,
    pub gid: u32,
    pub groups: Vec<u32>,
}

/// What the child was doing when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub(crate) enum Stage {
    Clone = 1,
    Streams,
    Credentials,
    Directory,
    Execute,
}

/// A child that runs its program.
#[derive(Debug)]
pub(crate) struct Cloned {
    pub pid: i32,
    pub pidfd: OwnedFd,
}

/// Where the child leaves word of its failure. It shares our memory.
#[derive(Default)]
struct Failure {
    stage: AtomicI32,
    errno: AtomicI32,
}

struct Birth<'a> {
    program: &'a Program<'a>,
    failure: Failure,
}

/// Starts the program. The caller must wait for it.
pub(crate) fn start(program: &Program<'_>) -> Result<Cloned, (Stage, io::Error)> {
    debug_assert!(program.arguments.last().is_some_and(|last| last.is_null()));
    debug_assert!(
        program
            .environment
            .last()
            .is_some_and(|last| last.is_null())
    );
    let birth = Birth {
        program,
        failure: Failure::default(),
    };
    let mut pidfd = -1;
    let signals = SignalsBlocked::new();
    let result = make_child(&birth, &mut pidfd);
    drop(signals);
    let pid = result.map_err(|error| (Stage::Clone, error))?;
    let cloned = Cloned {
        pid,
        pidfd: own(pidfd),
    };
    let stage = match birth.failure.stage.load(Ordering::Relaxed) {
        0 => return Ok(cloned),
        stage if stage == Stage::Streams as i32 => Stage::Streams,
        stage if stage == Stage::Credentials as i32 => Stage::Credentials,
        stage if stage == Stage::Directory as i32 => Stage::Directory,
        _ => Stage::Execute,
    };
    super::child::reap(pid);
    Err((
        stage,
        io::Error::from_raw_os_error(birth.failure.errno.load(Ordering::Relaxed)),
    ))
}

#[expect(
    unsafe_code,
    reason = "takes ownership of a descriptor from the kernel"
)]
fn own(descriptor: i32) -> OwnedFd {
    // SAFETY: clone has succeeded with CLONE_PIDFD, so this is a new descriptor that nobody else
    // knows of.
    unsafe { OwnedFd::from_raw_fd(descriptor) }
}

/// While it lives no signal handler runs on this thread, nor in a child with its memory.
struct SignalsBlocked {
    before: libc::sigset_t,
}

impl SignalsBlocked {
    #[expect(unsafe_code, reason = "signal masks are not in the standard library")]
    fn new() -> Self {
        // SAFETY: both sets are plain data that the calls fill in.
        unsafe {
            let mut all = std::mem::zeroed();
            let mut before = std::mem::zeroed();
            libc::sigfillset(&raw mut all);
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
            Self { before }
        }
    }
}

impl Drop for SignalsBlocked {
    #[expect(unsafe_code, reason = "signal masks are not in the standard library")]
    fn drop(&mut self) {
        // SAFETY: `before` was filled in by `new`.
        unsafe {
            libc::pthread_sigmask(
                libc::SIG_SETMASK,
                &raw const self.before,
                std::ptr::null_mut(),
            );
        }
    }
}

/// `struct clone_args` of clone3(2).
#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// `clone3` where a cgroup is asked for, else the older `clone`: container runtimes refuse the
/// former, because their filters cannot look into its arguments.
fn make_child(birth: &Birth<'_>, pidfd: &mut i32) -> io::Result<i32> {
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD;
    let pidfd = std::ptr::from_mut(pidfd).expose_provenance();
    let result = if let Some(cgroup) = birth.program.cgroup {
        let arguments = CloneArgs {
            flags: u64::from(flags.cast_unsigned()) | CLONE_INTO_CGROUP,
            pidfd: pidfd as u64,
            exit_signal: u64::from(libc::SIGCHLD.cast_unsigned()),
            cgroup: u64::from(cgroup.as_raw_fd().cast_unsigned()),
            ..CloneArgs::default()
        };
        let address = std::ptr::from_ref(&arguments).expose_provenance();
        let numbers = [address, size_of::<CloneArgs>(), 0];
        clone_and_be_born(libc::SYS_clone3, numbers, birth)
    } else {
        let flags = (flags | libc::SIGCHLD).cast_unsigned() as usize;
        clone_and_be_born(libc::SYS_clone, [flags, 0, pidfd], birth)
    };
    match result {
        0.. => Ok(i32::try_from(result).unwrap_or(i32::MAX)),
        error => Err(io::Error::from_raw_os_error(
            i32::try_from(-error).unwrap_or(libc::EINVAL),
        )),
    }
}

/// The system call; its answer is returned in the parent, and the child enters [`be_born`].
#[cfg(target_arch = "x86_64")]
#[expect(
    unsafe_code,
    reason = "a call that returns twice cannot be made through a function"
)]
fn clone_and_be_born(call: libc::c_long, arguments: [usize; 3], birth: &Birth<'_>) -> i64 {
    let result;
    // SAFETY: the child goes on with our stack pointer and our memory while this thread sleeps in
    // the call (CLONE_VFORK). It only ever pushes below the stack pointer, where nothing of ours
    // is (without `nostack` the compiler keeps the red zone free), never returns from `be_born`,
    // and its registers are its own. So the parent finds everything as it left it.
    unsafe {
        std::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r12",
            "call {be_born}",
            "ud2",
            "2:",
            be_born = sym be_born,
            inlateout("rax") call => result,
            in("rdi") arguments[0],
            in("rsi") arguments[1],
            in("rdx") arguments[2],
            in("r10") 0,
            in("r8") 0,
            in("r12") std::ptr::from_ref(birth),
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    result
}

/// The system call; its answer is returned in the parent, and the child enters [`be_born`].
#[cfg(target_arch = "aarch64")]
#[expect(
    unsafe_code,
    reason = "a call that returns twice cannot be made through a function"
)]
fn clone_and_be_born(call: libc::c_long, arguments: [usize; 3], birth: &Birth<'_>) -> i64 {
    let result;
    // SAFETY: as on x86_64; this architecture's ABI has no red zone on Linux.
    unsafe {
        std::arch::asm!(
            "svc #0",
            "cbnz x0, 2f",
            "mov x29, xzr",
            "mov x0, x20",
            "bl {be_born}",
            "brk #0",
            "2:",
            be_born = sym be_born,
            in("x8") call,
            inlateout("x0") arguments[0] => result,
            in("x1") arguments[1],
            in("x2") arguments[2],
            in("x3") 0,
            in("x4") 0,
            in("x20") std::ptr::from_ref(birth),
            lateout("x30") _,
        );
    }
    result
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
compile_error!("starting processes needs a few lines of assembly for each architecture");

/// What the child does. Its memory is the parent's: it may only make system calls and write to
/// `birth.failure`, and must neither allocate nor panic.
#[expect(
    unsafe_code,
    reason = "between clone and execve there are only system calls"
)]
extern "C" fn be_born(birth: *const Birth<'_>) -> ! {
    // SAFETY: the parent sleeps inside `clone_and_be_born`, which borrows `birth`.
    let birth = unsafe { &*birth };
    let stage = become_program(birth.program);
    // SAFETY: `__errno_location` always points to the calling thread's number, here the parent's,
    // who does not look at it. `_exit` runs nothing of the parent's.
    unsafe {
        birth
            .failure
            .errno
            .store(*libc::__errno_location(), Ordering::Relaxed);
        birth.failure.stage.store(stage as i32, Ordering::Relaxed);
        libc::_exit(127)
    }
}

/// Returns only if something failed: then what, and `errno` says why.
#[expect(
    unsafe_code,
    reason = "between clone and execve there are only system calls"
)]
fn become_program(program: &Program<'_>) -> Stage {
    let stdin = program.stdin.as_raw_fd();
    let (stdout, stderr) = (program.stdout.as_raw_fd(), program.stderr.as_raw_fd());
    // SAFETY: every pointer comes from a borrow in `program`, or from a local that the call only
    // reads; all calls are on the list of signal-safety(7).
    unsafe {
        if program.new_session {
            libc::setsid();
        } else {
            libc::setpgid(0, 0);
            give_up_terminal();
        }
        if libc::dup2(stdin, 0) < 0 || libc::dup2(stdout, 1) < 0 || libc::dup2(stderr, 2) < 0 {
            return Stage::Streams;
        }
        // Our own descriptors close by themselves; this is for those that we have inherited.
        // Kernels before 5.11 do not know it, and there is nothing to be done about that here.
        libc::syscall(
            libc::SYS_close_range,
            3,
            u32::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        );
        if program.expendable {
            become_expendable();
        }
        if let Some(credentials) = program.credentials
            && become_user(credentials) < 0
        {
            return Stage::Credentials;
        }
        if libc::chdir(program.directory.as_ptr()) < 0 {
            return Stage::Directory;
        }
        reset_signals();
        libc::execve(
            program.path.as_ptr(),
            program.arguments.as_ptr(),
            program.environment.as_ptr(),
        );
    }
    Stage::Execute
}

/// The kernel looks at it when it chooses whom to end. Where it is refused, we go on.
#[expect(
    unsafe_code,
    reason = "between clone and execve there are only system calls"
)]
fn become_expendable() {
    // SAFETY: the path and the text are constants, and the descriptor is our own.
    unsafe {
        let path = c"/proc/self/oom_score_adj".as_ptr();
        let file = libc::open(path, libc::O_WRONLY | libc::O_CLOEXEC);
        if file >= 0 {
            libc::write(file, c"500".as_ptr().cast(), 3);
            libc::close(file);
        }
    }
}

/// The system calls themselves: the functions of the same names tell all threads of the process,
/// and those are the parent's.
#[expect(
    unsafe_code,
    reason = "between clone and execve there are only system calls"
)]
fn become_user(credentials: &Credentials) -> libc::c_long {
    let Credentials { uid, gid, groups } = credentials;
    // SAFETY: the only pointer comes with its length from a borrowed slice.
    unsafe {
        let result = libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr());
        if result < 0 || libc::syscall(libc::SYS_setresgid, *gid, *gid, *gid) < 0 {
            return -1;
        }
        libc::syscall(libc::SYS_setresuid, *uid, *uid, *uid)
    }
}

/// A program that asks its user for a password must fail at once: stopped in the background, it
/// would wait for ever.
#[expect(
    unsafe_code,
    reason = "between clone and execve there are only system calls"
)]
fn give_up_terminal() {
    // SAFETY: the path is a constant, and the descriptor is our own.
    unsafe {
        let terminal = libc::open(c"/dev/tty".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC);
        if terminal >= 0 {
            // Of a process that leads no session it takes the terminal from that process alone.
            libc::ioctl(terminal, libc::TIOCNOTTY);
            libc::close(terminal);
        }
    }
}

/// Ignored signals and the mask outlive execve: programs expect neither, and shells hand both on.
#[expect(
    unsafe_code,
    reason = "between clone and execve there are only system calls"
)]
fn reset_signals() {
    // SAFETY: the dispositions are a copy that belongs to the child, as is the mask; the zeroed
    // action is a valid one (SIG_DFL is 0).
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = libc::SIG_DFL;
        for signal in 1..=64 {
            libc::sigaction(signal, &raw const action, std::ptr::null_mut());
        }
        let mut none = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
}
