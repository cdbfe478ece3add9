//! An API server of one pod that is this machine.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use http::{Request, Response, StatusCode, header};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use lacewing_kube::{
    CommandOutcome, CommandStreams,
    server::{CommandOffer, ForwardOffer},
};
use rustls::{ServerConfig, server::WebPkiClientVerifier};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

/// A server on a thread of its own.
pub(super) struct Api {
    pub(super) address: SocketAddr,
    /// The PEM text of the certificate, if the server has TLS.
    pub(super) certificate: Option<String>,
}

/// What a client must show.
#[derive(Clone)]
pub(super) enum Access {
    Everyone,
    /// This `Authorization`.
    Authorization(&'static str),
    /// A certificate that this one signed, over TLS.
    Certificate(rustls::pki_types::CertificateDer<'static>),
}

impl Api {
    pub(super) fn new() -> Self {
        Self::start(Access::Everyone, None)
    }

    /// A server with TLS and a certificate for `name`.
    pub(super) fn secure(access: Access, name: &str) -> Self {
        Self::start(access, Some(name))
    }

    pub(super) fn url(&self) -> String {
        match self.certificate {
            Some(_) => format!("https://{}", self.address),
            None => format!("http://{}", self.address),
        }
    }

    fn start(access: Access, name: Option<&str>) -> Self {
        let own = name.map(|name| rcgen::generate_simple_self_signed([name.to_owned()]).unwrap());
        let certificate = own.as_ref().map(|own| own.cert.pem());
        let acceptor = own.map(|own| acceptor(&own, &access));
        let (send, receive) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                send.send(listener.local_addr().unwrap()).unwrap();
                loop {
                    let (io, _) = listener.accept().await.unwrap();
                    let (access, acceptor) = (access.clone(), acceptor.clone());
                    tokio::spawn(async move {
                        match acceptor {
                            None => serve(io, access).await,
                            Some(acceptor) => {
                                // The client may not trust the certificate.
                                if let Ok(io) = acceptor.accept(io).await {
                                    serve(io, access).await;
                                }
                            }
                        }
                    });
                }
            });
        });
        Self {
            address: receive.recv().unwrap(),
            certificate,
        }
    }
}

fn acceptor(own: &rcgen::CertifiedKey<rcgen::KeyPair>, access: &Access) -> TlsAcceptor {
    let key = own.signing_key.serialize_der().try_into().unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match access {
        Access::Certificate(ca) => {
            let mut roots = rustls::RootCertStore::empty();
            roots.add(ca.clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
        _ => builder.with_no_client_auth(),
    };
    let config = builder.with_single_cert(vec![own.cert.der().clone()], key);
    TlsAcceptor::from(Arc::new(config.unwrap()))
}

async fn serve(io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, access: Access) {
    let service = service_fn(move |request| {
        std::future::ready(Ok::<_, Infallible>(answer(request, &access)))
    });
    let connection = http1::Builder::new().serve_connection(TokioIo::new(io), service);
    // The client may be gone.
    let _ = connection.with_upgrades().await;
}

fn answer(mut request: Request<Incoming>, access: &Access) -> Response<String> {
    let shown = request.headers().get(header::AUTHORIZATION);
    match access {
        Access::Authorization(expected) if shown.is_none_or(|shown| shown != expected) => {
            return refusal(StatusCode::UNAUTHORIZED, "Unauthorized");
        }
        _ => {}
    }
    let query = request.uri().query().unwrap_or_default().to_owned();
    let path = request.uri().path().to_owned();
    let Some(task) = path.strip_prefix("/api/v1/namespaces/default/pods/mypod/") else {
        return refusal(StatusCode::NOT_FOUND, "pods \\\"other\\\" not found");
    };
    if task == "portforward" {
        return forward(&mut request);
    }
    let offer = CommandOffer::new(CommandStreams::from_query(&query));
    let (response, pending) = match offer.accept(&mut request) {
        Ok(accepted) => accepted,
        Err(rejection) => return rejection.into_response(),
    };
    let argv = match task {
        "attach" => vec!["sh".into(), "-c".into(), "echo attached; cat".into()],
        _ => arguments(&query),
    };
    tokio::spawn(async move {
        let Ok(mut session) = pending.session().await else {
            return;
        };
        let outcome = match argv.first().map(String::as_str) {
            // The sizes of the client's terminal, until it is 100 wide.
            Some("sizes") => {
                let mut sizes = session.sizes.take().unwrap();
                let stdout = session.stdout.as_mut().unwrap();
                while let Some(size) = sizes.next().await {
                    let text = format!("size {}x{}\r\n", size.width, size.height);
                    stdout.write_all(text.as_bytes()).await.unwrap();
                    stdout.flush().await.unwrap();
                    if size.width == 100 {
                        break;
                    }
                }
                CommandOutcome::Exited(5)
            }
            program => {
                let mut command = tokio::process::Command::new(program.unwrap_or("true"));
                command.args(argv.iter().skip(1));
                let ran = session.run(command, Duration::from_secs(2)).await;
                ran.unwrap_or_else(|error| CommandOutcome::Failed(error.to_string()))
            }
        };
        let _ = session.finish(outcome).await;
    });
    response.map(|()| String::new())
}

fn forward(request: &mut Request<Incoming>) -> Response<String> {
    let (response, pending) = ForwardOffer::new().accept(request).unwrap();
    tokio::spawn(async move {
        let mut session = pending.session().await.unwrap();
        while let Some(forward) = session.accept().await {
            tokio::spawn(async move {
                match TcpStream::connect(("127.0.0.1", forward.port())).await {
                    Ok(mut pod) => {
                        let _ = copy_bidirectional(&mut forward.into_io(), &mut pod).await;
                    }
                    Err(error) => forward.fail(&format!("cannot connect: {error}")).await,
                }
            });
        }
    });
    response.map(|()| String::new())
}

fn refusal(status: StatusCode, message: &str) -> Response<String> {
    let body = format!(r#"{{"kind":"Status","status":"Failure","message":"{message}"}}"#);
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}

fn arguments(query: &str) -> Vec<String> {
    let values = query
        .split('&')
        .filter_map(|pair| pair.strip_prefix("command="));
    values.map(decoded).collect()
}

/// Decodes the client's percent-encoding, which leaves only letters and digits.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let mut digit = || (rest.next().unwrap() as char).to_digit(16).unwrap() as u8;
        bytes.push(match byte {
            b'%' => digit() * 16 + digit(),
            byte => byte,
        });
    }
    String::from_utf8(bytes).unwrap()
}
