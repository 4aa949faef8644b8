use std::ffi::OsString;

use clap::{CommandFactory as _, Parser, Subcommand};
use longshore_service::config::split_flags;

use crate::{
    account::AccountArguments,
    audit::AuditArguments,
    completion::CompletionArguments,
    edge::EdgeArguments,
    exit_codes,
    failure::Failure,
    fleet::{
        AdviceArguments, ApplyArguments, DeleteArguments, DescribeArguments, EventsArguments, ExplainArguments, GetArguments,
        LogsArguments, NamespaceVerb, RollbackArguments, RolloutArguments, RunArguments, ScaleArguments, WatchArguments,
    },
    image::ImageArguments,
    issuer::IssuerArguments,
    login::{LoginArguments, LogoutArguments},
    node::NodeArguments,
    orchestrator::OrchestratorArguments,
    policy::PolicyArguments,
    prewarm::AnyPrewarmArguments,
    registry::RegistryArguments,
    robot::RobotArguments,
    role::RoleArguments,
    up::UpArguments,
};

/// The program's arguments, read.
pub struct Arguments {
    /// What to do.
    pub command: Command,
    /// The configuration values set by dotted flags, as path and value.
    pub settings: Vec<(String, String)>,
}

#[derive(Parser)]
#[command(
    name = "longshore",
    version,
    about = "Carries container images from the push to the running container",
    after_help = exit_codes::ALL
)]
struct Program {
    #[command(subcommand)]
    command: Command,
}

/// What to do: a noun that has verbs of its own, or an everyday verb.
#[derive(Subcommand)]
pub enum Command {
    /// Run everything on this machine, with nothing to configure
    #[command(after_help = exit_codes::DAEMON)]
    Up(UpArguments),
    /// Run a registry from a configuration, and look after it
    #[command(after_help = exit_codes::WITH_SERVE)]
    Registry(RegistryArguments),
    /// Run an edge cache, which fetches each byte of a site once, and look after it
    #[command(after_help = exit_codes::WITH_SERVE)]
    Edge(EdgeArguments),
    /// Run the mirror and cache beside a container runtime, which shares what it has with its neighbours; and look after the fleet's nodes
    #[command(after_help = exit_codes::NODE)]
    Node(NodeArguments),
    /// Run an orchestrator, which keeps what is asked for running on the fleet's nodes
    #[command(after_help = exit_codes::WITH_SERVE)]
    Orchestrator(OrchestratorArguments),
    /// See and remove the images of a registry
    #[command(after_help = exit_codes::COMMAND)]
    Image(ImageArguments),
    /// Apply policies, try them out, and see what they say to an image
    #[command(after_help = exit_codes::WITH_TRIALS)]
    Policy(PolicyArguments),
    /// Have an edge, or nodes of the fleet, fetch images before anybody asks for them
    #[command(after_help = exit_codes::PREWARM)]
    Prewarm(Box<AnyPrewarmArguments>),
    /// Log in to a registry; docker on this machine is logged in by that too
    #[command(after_help = exit_codes::COMMAND)]
    Login(LoginArguments),
    /// Log out of a registry
    #[command(after_help = exit_codes::COMMAND)]
    Logout(LogoutArguments),
    /// Look after the people who may use a registry
    #[command(after_help = exit_codes::COMMAND)]
    Account(AccountArguments),
    /// Look after the programs that may use a registry
    #[command(after_help = exit_codes::COMMAND)]
    Robot(RobotArguments),
    /// Say who may do what in a registry
    #[command(after_help = exit_codes::COMMAND)]
    Role(RoleArguments),
    /// Look after whose tokens are taken as logins: those of CI jobs and other workloads
    #[command(after_help = exit_codes::COMMAND)]
    Issuer(IssuerArguments),
    /// See who did what in a registry, and check that nothing of that was changed since
    #[command(after_help = exit_codes::COMMAND)]
    Audit(AuditArguments),
    /// Have deployments, jobs and namespaces be as files say
    #[command(after_help = exit_codes::FLEET)]
    Apply(ApplyArguments),
    /// Run an image on the fleet: make a deployment of it
    #[command(after_help = exit_codes::FLEET_WAIT)]
    Run(Box<RunArguments>),
    /// List what there is in the fleet: deployments, jobs, pods, nodes, namespaces, operations, events
    #[command(after_help = exit_codes::FLEET)]
    Get(GetArguments),
    /// Show all there is to know of one thing
    #[command(after_help = exit_codes::FLEET)]
    Describe(DescribeArguments),
    /// End and take away what there is
    #[command(after_help = exit_codes::FLEET_WAIT)]
    Delete(DeleteArguments),
    /// Print what pods write
    #[command(after_help = exit_codes::FLEET)]
    Logs(LogsArguments),
    /// Say why a pod is where it is, or nowhere: every node's verdict, and what would make it fit
    #[command(after_help = exit_codes::FLEET)]
    Explain(ExplainArguments),
    /// See which pods would better be elsewhere, so that nodes become free, and what that would fetch; nothing moves by it
    #[command(after_help = exit_codes::FLEET)]
    Advice(AdviceArguments),
    /// List what has happened
    #[command(after_help = exit_codes::FLEET)]
    Events(EventsArguments),
    /// Have a deployment have another number of pods
    #[command(after_help = exit_codes::FLEET)]
    Scale(ScaleArguments),
    /// Have a deployment's pods be made from what they were made from before
    #[command(after_help = exit_codes::FLEET)]
    Rollback(RollbackArguments),
    /// See how far a deployment is on its way to another revision, and which there were
    #[command(after_help = exit_codes::FLEET_WAIT)]
    Rollout(RolloutArguments),
    /// Print what happens, as it happens
    #[command(after_help = exit_codes::FLEET)]
    Watch(WatchArguments),
    /// Make namespaces
    #[command(subcommand, after_help = exit_codes::FLEET)]
    Namespace(NamespaceVerb),
    /// Print what a shell needs to finish commands: `source <(longshore completion bash)`
    #[command(after_help = exit_codes::COMMAND)]
    Completion(CompletionArguments),
}

/// The nouns of the daemons, whose settings can be given as dotted flags.
const DAEMONS: [&str; 4] = ["registry", "edge", "node", "orchestrator"];

/// All that can be said to the program.
pub fn grammar() -> clap::Command {
    Program::command()
}

impl Arguments {
    /// Reads the process's arguments. Prints help, version and mistakes of grammar by itself, and ends the process after that.
    ///
    /// Dotted flags are a daemon's, so they are taken out only after its noun; anywhere else they are unknown flags.
    pub fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, Failure> {
        let arguments: Vec<OsString> = arguments.into_iter().collect();
        if !arguments.get(1).is_some_and(|noun| DAEMONS.iter().any(|daemon| noun == daemon)) {
            return Ok(Self { command: Program::parse_from(arguments).command, settings: Vec::new() });
        }
        let texts = arguments.into_iter().map(OsString::into_string).collect::<Result<Vec<_>, _>>();
        let texts = texts.map_err(|argument| Failure::Usage(format!("{} is not Unicode text", argument.display())))?;
        let split = split_flags(texts).map_err(|mistakes| Failure::mistakes(&mistakes))?;
        Ok(Self { command: Program::parse_from(split.rest).command, settings: split.settings })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The commands beside the daemons that run until they are told to stop, or wait for what others do.
    const WAITING: [&str; 5] = ["up", "prewarm", "run", "delete", "rollout"];

    /// The exit codes that a command's help has.
    fn codes(command: &clap::Command) -> Vec<u8> {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let lines = help.split_once("Exit codes:\n").map_or("", |(_, lines)| lines).lines();
        lines.filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect()
    }

    #[test]
    fn the_grammar_holds_together() {
        Program::command().debug_assert();
    }

    #[test]
    fn each_command_documents_the_exit_codes_that_it_has() {
        for command in Program::command().get_subcommands() {
            let (name, told) = (command.get_name(), codes(command));
            assert!(told.starts_with(&[0, 1, 2]), "{name}: {told:?}");
            let is_of_the_fleet = told.contains(&7);
            assert_eq!(told.contains(&3), name == "policy" || (is_of_the_fleet && name != "node"), "{name}");
            assert_eq!(told.contains(&130), WAITING.contains(&name) || DAEMONS.contains(&name), "{name}");
            for verb in command.get_subcommands().filter(|verb| verb.get_after_help().is_some()) {
                assert_eq!(
                    codes(verb).contains(&130),
                    ["serve", "pull", "prewarm", "drain", "status"].contains(&verb.get_name()),
                    "{name} {}",
                    verb.get_name()
                );
            }
        }
    }

    #[test]
    fn the_fleet_s_commands_are_read_as_they_are_written() {
        for words in [
            "apply -f a.yaml -f folder -f - --plan -n team -o json --orchestrator https://o.example",
            "apply --file a.yaml --if-fits --if-idle",
            "run localhost:5000/hello --replicas 3 --name hello --wait -- serve --fast",
            "run alpine -n team -e A=b -p 80:8080 --cpu 500m --memory 1Gi --class batch --node-selector zone=a --no-wait --timeout 30s",
            "get pods",
            "get pods -A -o wide",
            "get deploy hello other -n team -o yaml",
            "get no --watch",
            "describe pod/hello-1",
            "delete deployment hello --wait --timeout 1m",
            "delete -f a.yaml --ignore-not-found",
            "delete node n1 --force",
            "logs hello-1 -f --tail 10 --previous --timestamps",
            "logs deployment/hello -n team",
            "explain pod hello-1 -o wide",
            "events",
            "advice -o json",
            "get holders localhost:5000/hello:1",
            "get audit -o wide --orchestrator o.example",
            "events pod hello-1 --follow --limit 5",
            "scale deployment hello --replicas 0 --reason night --if-fits",
            "rollback deployment/hello --to 3",
            "rollout status deployment hello --timeout 1m",
            "rollout history deployment/hello",
            "watch",
            "watch pods,nodes --since 5 -n team",
            "namespace create team --quota-cpu 4 --quota-memory 8Gi --quota-pods 10",
            "node ls --watch",
            "node describe n1",
            "node cordon n1",
            "node uncordon n1",
            "node drain n1 --timeout 5m",
            "node token create --ttl 1h --uses 3",
            "node token ls -o json",
            "node token rm abcd",
            "prewarm localhost:5000/hello:2 --nodes disk=ssd --pin 7d --deadline 10m --orchestrator o.example",
            "prewarm a b --zone z --detach",
            "prewarm a --workload hello -n team",
            "prewarm --cancel op_1 --fleet",
            "prewarm alpine:3.20 --platform linux/amd64 --at http://127.0.0.1:5100",
            "completion zsh",
            "login localhost:5000 -u ada --orchestrator http://127.0.0.1:5300",
        ] {
            let read = Program::try_parse_from(std::iter::once("longshore").chain(words.split(' ')));
            assert!(read.is_ok(), "{words}: {}", read.err().map(|error| error.to_string()).unwrap_or_default());
        }
    }

    #[test]
    fn what_makes_no_sense_is_a_mistake() {
        for words in [
            "apply",
            "run",
            "get",
            "scale deployment hello",
            "scale deployment hello --replicas -1",
            "delete",
            "delete pod a -f b.yaml",
            "get pods -n Team",
            "get pods -o xml",
            "events --limit 0",
            "watch things",
            "node token create --uses 0",
            "prewarm --nodes a=b",
            "prewarm a --nodes ???",
            "completion powershell",
            "rollout",
        ] {
            let read = Program::try_parse_from(std::iter::once("longshore").chain(words.split(' ')));
            assert!(read.is_err(), "{words}");
        }
    }

    #[test]
    fn a_namespace_that_is_set_to_nothing_is_not_set() {
        for words in
            [&["get", "pods"][..], &["delete", "pod", "a"], &["apply", "-f", "a"], &["watch"], &["prewarm", "a", "--fleet"]]
        {
            let words = ["longshore"].iter().chain(words).chain(&["--namespace", ""]);
            let read = Program::try_parse_from(words);
            assert!(read.is_ok(), "{}", read.err().map(|error| error.to_string()).unwrap_or_default());
        }
    }

    #[test]
    fn a_daemon_s_noun_takes_dotted_flags() {
        let words = ["longshore", "registry", "serve", "--storage.bucket", "x", "--config", "a.toml"];
        let arguments = Arguments::read(words.map(OsString::from)).expect("well-formed arguments");
        assert_eq!(arguments.settings, [("storage.bucket".to_owned(), "x".to_owned())]);
        assert!(matches!(arguments.command, Command::Registry(_)));
        let words = ["longshore", "edge", "serve", "--upstream.0.url=a", "--upstream", "b"];
        let arguments = Arguments::read(words.map(OsString::from)).expect("well-formed arguments");
        assert_eq!(arguments.settings, [("upstream.0.url".to_owned(), "a".to_owned())]);
        assert!(matches!(arguments.command, Command::Edge(_)));
    }
}
