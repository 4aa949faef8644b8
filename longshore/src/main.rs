//! `longshore`: the daemons and the operator's commands, in one program.

mod account;
mod announcement;
mod arguments;
mod audit;
mod completion;
mod configuration;
mod connection;
mod daemon;
mod edge;
mod exit_codes;
mod failure;
mod first_try;
mod fleet;
mod image;
mod issuer;
mod login;
mod node;
mod orchestrator;
mod output;
mod password;
mod percentages;
mod policy;
mod prewarm;
mod registry;
mod robot;
mod role;
mod secret_input;
mod tracker;
mod up;
mod verdict;

use std::{process::ExitCode, time::Duration};

use arguments::{Arguments, Command};
use failure::{Failure, tell};

/// How long work that nobody waits for any more may hold up the end of the process.
const LINGER: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let outcome = Arguments::read(std::env::args_os()).and_then(start);
    match outcome {
        Ok(()) | Err(Failure::OutputClosed) => ExitCode::SUCCESS,
        Err(failure) => {
            tell(&failure);
            failure.exit_code()
        }
    }
}

fn start(Arguments { command, settings }: Arguments) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::because("the threads can't be started", &error))?;
    let outcome = runtime.block_on(async {
        match command {
            Command::Up(up) => up.run().await,
            Command::Registry(registry) => registry.run(settings).await,
            Command::Edge(edge) => edge.run(settings).await,
            Command::Node(node) => node.run(settings).await,
            Command::Orchestrator(orchestrator) => orchestrator.run(settings).await,
            Command::Image(image) => image.run().await,
            Command::Policy(policy) => policy.run().await,
            Command::Prewarm(prewarm) => prewarm.run().await,
            Command::Login(login) => login.run().await,
            Command::Logout(logout) => logout.run().await,
            Command::Account(account) => account.run().await,
            Command::Robot(robot) => robot.run().await,
            Command::Role(role) => role.run().await,
            Command::Issuer(issuer) => issuer.run().await,
            Command::Audit(audit) => audit.run().await,
            Command::Apply(apply) => apply.run().await,
            Command::Run(run) => run.run().await,
            Command::Get(get) => get.run().await,
            Command::Describe(describe) => describe.run().await,
            Command::Delete(delete) => delete.run().await,
            Command::Logs(logs) => logs.run().await,
            Command::Explain(explain) => explain.run().await,
            Command::Advice(advice) => advice.run().await,
            Command::Events(events) => events.run().await,
            Command::Scale(scale) => scale.run().await,
            Command::Rollback(rollback) => rollback.run().await,
            Command::Rollout(rollout) => rollout.run().await,
            Command::Watch(watch) => watch.run().await,
            Command::Namespace(namespace) => namespace.run().await,
            Command::Completion(completion) => completion.run(),
        }
    });
    runtime.shutdown_timeout(LINGER);
    outcome
}
