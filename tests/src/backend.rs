use std::pin::Pin;

use crate::turns::turn;

/// What a registry keeps bytes and state in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Backend {
    /// A folder and SQLite.
    Folder,
    /// An S3 bucket and PostgreSQL.
    Bucket,
}

/// Makes two tests of each function named, `folder::name` and `bucket::name`; the function takes the [`Backend`].
#[macro_export]
macro_rules! on_both_backends {
    ($($name:ident),+ $(,)?) => {
        mod folder {
            $(#[test]
            fn $name() { $crate::on_a_runtime(Box::pin(super::$name($crate::Backend::Folder)), module_path!()); })+
        }
        mod bucket {
            $(#[test]
            fn $name() { $crate::on_a_runtime(Box::pin(super::$name($crate::Backend::Bucket)), module_path!()); })+
        }
    };
}

/// Makes a test of each function named, `once::name`.
#[macro_export]
macro_rules! once {
    ($($name:ident),+ $(,)?) => {
        mod once {
            $(#[test]
            fn $name() { $crate::on_a_runtime(Box::pin(super::$name()), module_path!()); })+
        }
    };
}

/// Runs the body of a test of this module to its end, when it is its turn. Boxed, so that a runtime's entrance is compiled once, and not
/// once a test.
pub fn on_a_runtime(body: Pin<Box<dyn Future<Output = ()>>>, module: &str) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("the system has threads").block_on(async {
        let _turn = turn(module).await;
        body.await;
    });
}
