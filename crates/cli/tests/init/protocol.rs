//! What is no word of the protocol, from either side.

use outrider_executor::Fault;
use outrider_executor::init::InitClient;
use tokio::io::AsyncWriteExt;

use super::support::{Container, LONG, command};

#[tokio::test]
async fn open_ports_are_listed() {
    let container = Container::start().await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("has an address").port();
    let ports = container.client.listening().await.expect("are listed");
    assert!(ports.contains(&port), "{port} in {ports:?}");
}

#[tokio::test]
async fn garbage_ends_the_init() {
    for garbage in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"\0\0\0\x02\x02\0\0\0\x01{}",
        &[0; 64],
    ] {
        let mut init = command().spawn().expect("the init starts");
        let mut stdin = init.stdin.take().expect("piped");
        stdin.write_all(garbage).await.expect("is taken");
        let ended = tokio::time::timeout(LONG, init.wait()).await;
        let status = ended.expect("in time").expect("is waited for");
        assert!(!status.success(), "{garbage:?}");
    }
}

#[tokio::test]
async fn garbage_from_inside_is_an_error() {
    let greeting = b"\0\0\0\x0d\x01\0\0\0\0{\"version\":3}";
    for (garbage, greets) in [
        (&b"sh: not found\n"[..], false),
        (b"", false),
        (b"\0\0\0\x0e\x01\0\0\0\0{\"version\":99}", false),
        (b"\xff\xff\xff\xff\x04\0\0\0\x01", true),
        (
            b"\0\0\0\x04\x06\0\0\0\x01\xff\xff\xff\xff\0\0\0\x01\x02\0\0\0\x01x",
            true,
        ),
        (b"\0\0\0\x03\x03\0\0\0\x01no!", true),
    ] {
        let bytes = if greets {
            [&greeting[..], garbage].concat()
        } else {
            garbage.to_vec()
        };
        let stream = std::io::Cursor::new(bytes);
        let result = async {
            let client = InitClient::connect(stream, tokio::io::sink()).await?;
            client.listening().await
        };
        let error = result.await.expect_err("is garbage");
        assert_eq!(error.fault, Fault::Infrastructure, "{garbage:?}: {error}");
    }
}
