//! The failures of a task, in kubectl's words.

use std::fmt;

use http::StatusCode;
use lacewing_kube::{
    KubeError,
    client::{ConnectError, CopyError},
};

use crate::{console, status::Failure};

/// kubectl's exit code for every failure of its own.
const FAILED: u8 = 1;

/// The failure of a task.
#[derive(Debug)]
pub(super) enum TaskFailure {
    /// The text for the user.
    Text(String),
    /// The exit code of the command in the container.
    Exited(u8),
    /// A failure of the program's own output.
    Output(Failure),
}

impl TaskFailure {
    pub(super) fn new(text: impl fmt::Display) -> Self {
        Self::Text(text.to_string())
    }

    /// Writes the text. The result has the exit code.
    pub(super) fn report(self) -> Failure {
        match self {
            Self::Text(text) => {
                console::eprint(format_args!("error: {text}\n"));
                Failure::quiet(FAILED)
            }
            Self::Exited(code) => {
                let text = format_args!("command terminated with exit code {code}\n");
                console::eprint(text);
                Failure::quiet(code)
            }
            Self::Output(failure) => failure,
        }
    }
}

impl From<ConnectError> for TaskFailure {
    fn from(error: ConnectError) -> Self {
        Self::Text(format!("{error}{}", advice(&error)))
    }
}

impl From<KubeError> for TaskFailure {
    fn from(error: KubeError) -> Self {
        Self::new(error)
    }
}

impl From<CopyError> for TaskFailure {
    fn from(error: CopyError) -> Self {
        match error {
            CopyError::Connect(error) => error.into(),
            error => Self::new(error),
        }
    }
}

/// What the user can do.
fn advice(error: &ConnectError) -> &'static str {
    match error {
        ConnectError::Refused(refusal) => match refusal.status() {
            StatusCode::UNAUTHORIZED => {
                "; check the credentials of the kubeconfig's user, or give a --token"
            }
            StatusCode::FORBIDDEN => {
                "; the user needs the verb `create` on the pod's subresource (RBAC)"
            }
            // The words of Go's servers, and of ours, for the name of an unknown upgrade.
            StatusCode::BAD_REQUEST if refusal.message().contains("missing upgrade headers") => {
                "; the server does not have this transport: try --transport spdy"
            }
            StatusCode::NOT_FOUND => "; check the name, --namespace and --context",
            _ => "",
        },
        ConnectError::Connect(error) if is_certificate(error) => {
            "; check certificate-authority and tls-server-name of the kubeconfig, or accept any \
             certificate by --insecure-skip-tls-verify (for a test)"
        }
        ConnectError::Connect(_) => "; check --server or the kubeconfig's server",
        ConnectError::WrongProtocol(_) | ConnectError::WebSocket(_) => "; try --transport spdy",
        _ => "",
    }
}

fn is_certificate(error: &std::io::Error) -> bool {
    let inner = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    matches!(inner, Some(rustls::Error::InvalidCertificate(_)))
}
