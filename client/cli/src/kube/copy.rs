//! `lacewing kube cp`.

use std::path::PathBuf;

use lacewing_kube::client::CopyRequest;

use super::{cluster::Cluster, failure::TaskFailure, pod};

#[derive(Debug, clap::Args)]
pub(super) struct Cp {
    /// The file or folder to copy: a local path, or [NAMESPACE/]POD:PATH
    #[arg(value_name = "FROM", value_parser = place)]
    from: Place,

    /// The place of the copy: a local path, or [NAMESPACE/]POD:PATH
    #[arg(value_name = "TO", value_parser = place)]
    to: Place,

    /// The container of the pod, if it has several
    #[arg(short, long, value_name = "NAME")]
    container: Option<String>,

    /// Connects again, this often, when a copy from a pod loses its connection: it continues with
    /// the byte that follows. The container needs sh, head, tail and cksum then
    #[arg(long, value_name = "N", default_value_t = 0)]
    retries: u32,
}

/// One end of a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Local(PathBuf),
    Pod {
        namespace: Option<String>,
        name: String,
        path: String,
    },
}

pub(super) async fn run(cluster: &Cluster, args: &Cp) -> Result<(), TaskFailure> {
    let request = |namespace: &Option<String>, name: &str| {
        let mut pod = pod(cluster, name, args.container.as_deref());
        if let Some(namespace) = namespace {
            pod.namespace = namespace;
        }
        CopyRequest::new(cluster.server.clone(), pod).with(|request| {
            request.headers = cluster.headers.clone();
            request.transport = cluster.transport;
            request.retries = args.retries;
        })
    };
    let connect = || cluster.connect();
    match (&args.from, &args.to) {
        (
            Place::Local(local),
            Place::Pod {
                namespace,
                name,
                path,
            },
        ) => {
            request(namespace, name)
                .upload(connect, local, path)
                .await?;
        }
        (
            Place::Pod {
                namespace,
                name,
                path,
            },
            Place::Local(local),
        ) => {
            request(namespace, name)
                .download(connect, path, local)
                .await?;
        }
        _ => {
            return Err(TaskFailure::new(
                "one of the two must be a local path, and the other POD:PATH",
            ));
        }
    }
    Ok(())
}

/// Reads a place as kubectl does: a colon names a pod, unless a path precedes it.
fn place(text: &str) -> Result<Place, String> {
    let Some((pod, path)) = text.split_once(':') else {
        return Ok(Place::Local(text.into()));
    };
    let is_local = pod.starts_with(['.', '/', '\\']) || pod.matches('/').count() > 1;
    // A drive of Windows.
    if is_local || (cfg!(windows) && pod.len() == 1) {
        return Ok(Place::Local(text.into()));
    }
    let (namespace, name) = match pod.split_once('/') {
        Some((namespace, name)) => (Some(namespace.to_owned()), name),
        None => (None, pod),
    };
    match (name, path) {
        ("", _) => {
            Err("write the pod's place as POD:PATH, and local paths with : as ./PATH".into())
        }
        (_, "") => Err("filepath can not be empty: write the path behind the colon".into()),
        (name, path) => Ok(Place::Pod {
            namespace,
            name: name.to_owned(),
            path: path.to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_those_of_kubectl() {
        let pod = |namespace: Option<&str>, name: &str, path: &str| Place::Pod {
            namespace: namespace.map(str::to_owned),
            name: name.to_owned(),
            path: path.to_owned(),
        };
        for (text, expected) in [
            ("file", Place::Local("file".into())),
            ("./a:b", Place::Local("./a:b".into())),
            ("/tmp/a:b", Place::Local("/tmp/a:b".into())),
            ("mypod:/tmp/a", pod(None, "mypod", "/tmp/a")),
            ("ns/mypod:a:b", pod(Some("ns"), "mypod", "a:b")),
        ] {
            assert_eq!(place(text), Ok(expected), "{text}");
        }
        for wrong in [":/tmp", "mypod:", "ns/:x"] {
            assert!(place(wrong).is_err(), "{wrong}");
        }
    }
}
