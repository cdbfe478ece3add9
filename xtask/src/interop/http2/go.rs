//! Go's x/net/http2, in both roles.

use super::echo_port;
use crate::interop::lab::{Lab, MB_100, MEDIUM, Security, Shared};
use crate::interop::{Case, expect};

pub(super) fn cases() -> Vec<Case> {
    Security::BOTH.into_iter().flat_map(client).collect()
}

fn client(security: Security) -> Vec<Case> {
    let name = move |what: &str| format!("http2/go/{what}-{}", security.name());
    let run = move |lab: &Lab, port: u16, args: &[&str]| {
        let mut client = lab.go("http2-client")?;
        client.args([&port.to_string(), security.name()]).args(args);
        lab.run(&mut client, 70)?.success()
    };
    vec![
        Case::new(name("get-100-mb"), move |lab| {
            let port = lab.port(Shared::Lacewingd, security)?;
            expect(
                &run(lab, port, &["get", &format!("/{MB_100}")])?,
                &lab.answer(MB_100),
            )
        }),
        Case::new(name("parallel-50"), move |lab| {
            let port = lab.port(Shared::Lacewingd, security)?;
            let printed = run(lab, port, &["parallel", "50", &format!("/{MEDIUM}")])?;
            expect(&printed, &format!("50 {}", lab.answer(MEDIUM)))
        }),
        Case::new(name("echo-100-mb"), move |lab| {
            let path = lab.file(MB_100);
            let args = ["post", "/echo", &path.to_string_lossy()];
            expect(
                &run(lab, echo_port(lab, "h2", security)?, &args)?,
                &lab.answer(MB_100),
            )
        }),
    ]
}
