//! The calls, each with as much time as it may need.

use std::{collections::BTreeMap, time::Duration};

use super::{
    Cri, CriError, Login,
    wire::{
        AuthConfig, Container, ContainerFilter, ContainerIdRequest, ContainerStatus, ContainerStatusResponse,
        CreateContainerRequest, CreateContainerResponse, Empty, ExecSyncRequest, ExecSyncResponse, ImageFsInfoResponse,
        ImageRequest, ImageSpec, ImageStatusResponse, ListContainersRequest, ListContainersResponse, ListPodSandboxRequest,
        ListPodSandboxResponse, LocalImage, PodSandbox, PodSandboxConfig, PodSandboxFilter, PodSandboxStatus,
        PodSandboxStatusResponse, PullImageRequest, PullImageResponse, RunPodSandboxRequest, RunPodSandboxResponse,
        RuntimeCondition, SandboxIdRequest, StatusResponse, StopContainerRequest, VersionRequest, VersionResponse,
    },
};

/// For what is only looked up.
const LOOK: Duration = Duration::from_secs(10);
/// For what makes, starts or removes something.
const CHANGE: Duration = Duration::from_mins(2);
/// For a sandbox, whose image may have to come first, and whose network is made by others.
const SANDBOX: Duration = Duration::from_mins(4);
/// What a call has beyond the time that it was told to take itself.
const SPARE: Duration = Duration::from_secs(30);

macro_rules! runtime {
    ($call:literal) => {
        concat!("/runtime.v1.RuntimeService/", $call)
    };
}

macro_rules! images {
    ($call:literal) => {
        concat!("/runtime.v1.ImageService/", $call)
    };
}

/// An image by its name.
fn named(image: &str) -> ImageSpec {
    ImageSpec { image: image.to_owned(), ..ImageSpec::default() }
}

fn container(id: &str) -> ContainerIdRequest {
    ContainerIdRequest { container_id: id.to_owned() }
}

fn sandbox(id: &str) -> SandboxIdRequest {
    SandboxIdRequest { pod_sandbox_id: id.to_owned() }
}

/// What is gone already is as it was to be.
fn gone(done: Result<Empty, CriError>) -> Result<(), CriError> {
    match done {
        Err(error) if error.is_missing() => Ok(()),
        done => done.map(drop),
    }
}

impl Cri {
    /// What it is: its name and version.
    pub async fn version(&self) -> Result<VersionResponse, CriError> {
        self.ask(runtime!("Version"), VersionRequest { version: "v1".to_owned() }, LOOK).await
    }

    /// How it is.
    pub async fn conditions(&self) -> Result<Vec<RuntimeCondition>, CriError> {
        let answer: StatusResponse = self.ask(runtime!("Status"), Empty {}, LOOK).await?;
        Ok(answer.status.map(|status| status.conditions).unwrap_or_default())
    }

    /// Makes a pod's sandbox: its id.
    pub async fn run_sandbox(&self, config: PodSandboxConfig) -> Result<String, CriError> {
        let request = RunPodSandboxRequest { config: Some(config) };
        let answer: RunPodSandboxResponse = self.ask(runtime!("RunPodSandbox"), request, SANDBOX).await?;
        Ok(answer.pod_sandbox_id)
    }

    /// Ends a sandbox, and all that runs in it.
    pub async fn stop_sandbox(&self, id: &str) -> Result<(), CriError> {
        gone(self.ask(runtime!("StopPodSandbox"), sandbox(id), CHANGE).await)
    }

    /// Removes a sandbox and its containers.
    pub async fn remove_sandbox(&self, id: &str) -> Result<(), CriError> {
        gone(self.ask(runtime!("RemovePodSandbox"), sandbox(id), CHANGE).await)
    }

    /// How a sandbox is; `None` where there is none such.
    pub async fn sandbox_status(&self, id: &str) -> Result<Option<PodSandboxStatus>, CriError> {
        match self.ask::<_, PodSandboxStatusResponse>(runtime!("PodSandboxStatus"), sandbox(id), LOOK).await {
            Err(error) if error.is_missing() => Ok(None),
            answer => Ok(answer?.status),
        }
    }

    /// The sandboxes with these labels.
    pub async fn sandboxes(&self, labels: BTreeMap<String, String>) -> Result<Vec<PodSandbox>, CriError> {
        let request = ListPodSandboxRequest { filter: Some(PodSandboxFilter { label_selector: labels }) };
        let answer: ListPodSandboxResponse = self.ask(runtime!("ListPodSandbox"), request, LOOK).await?;
        Ok(answer.items)
    }

    /// Makes a container: its id.
    pub async fn create_container(&self, request: CreateContainerRequest) -> Result<String, CriError> {
        let answer: CreateContainerResponse = self.ask(runtime!("CreateContainer"), request, CHANGE).await?;
        Ok(answer.container_id)
    }

    /// Starts a container that was made.
    pub async fn start_container(&self, id: &str) -> Result<(), CriError> {
        self.ask::<_, Empty>(runtime!("StartContainer"), container(id), CHANGE).await.map(drop)
    }

    /// Asks a container to end, and kills it after so long.
    pub async fn stop_container(&self, id: &str, grace: Duration) -> Result<(), CriError> {
        let seconds = i64::try_from(grace.as_secs()).unwrap_or(i64::MAX);
        let request = StopContainerRequest { container_id: id.to_owned(), timeout: seconds };
        gone(self.ask(runtime!("StopContainer"), request, grace.saturating_add(CHANGE)).await)
    }

    /// Removes a container.
    pub async fn remove_container(&self, id: &str) -> Result<(), CriError> {
        gone(self.ask(runtime!("RemoveContainer"), container(id), CHANGE).await)
    }

    /// The containers with these labels.
    pub async fn containers(&self, labels: BTreeMap<String, String>) -> Result<Vec<Container>, CriError> {
        let request = ListContainersRequest { filter: Some(ContainerFilter { label_selector: labels }) };
        let answer: ListContainersResponse = self.ask(runtime!("ListContainers"), request, LOOK).await?;
        Ok(answer.containers)
    }

    /// How a container is; `None` where there is none such.
    pub async fn container_status(&self, id: &str) -> Result<Option<ContainerStatus>, CriError> {
        match self.ask::<_, ContainerStatusResponse>(runtime!("ContainerStatus"), container(id), LOOK).await {
            Err(error) if error.is_missing() => Ok(None),
            answer => Ok(answer?.status),
        }
    }

    /// Has it write a container's log to a new file.
    pub async fn reopen_log(&self, id: &str) -> Result<(), CriError> {
        self.ask::<_, Empty>(runtime!("ReopenContainerLog"), container(id), LOOK).await.map(drop)
    }

    /// Runs a command within a container, which has so long: its exit code and outputs.
    pub async fn exec(&self, id: &str, command: Vec<String>, patience: Duration) -> Result<ExecSyncResponse, CriError> {
        // 0 would be for ever.
        let timeout = i64::try_from(patience.as_secs()).unwrap_or(i64::MAX).max(1);
        let request = ExecSyncRequest { container_id: id.to_owned(), cmd: command, timeout };
        self.ask(runtime!("ExecSync"), request, patience.saturating_add(SPARE)).await
    }

    /// An image that is here, by its name; `None` where it is not.
    pub async fn image(&self, image: &str) -> Result<Option<LocalImage>, CriError> {
        let answer: ImageStatusResponse =
            self.ask(images!("ImageStatus"), ImageRequest { image: Some(named(image)) }, LOOK).await?;
        Ok(answer.image)
    }

    /// Has it fetch an image, for which it has so long. A registry that it asks itself, under this name, it shows this account.
    pub async fn pull(&self, image: &str, login: Option<(&str, &Login)>, patience: Duration) -> Result<(), CriError> {
        let auth = login.map(|(registry, login)| AuthConfig {
            username: login.username.clone(),
            password: login.password.reveal().to_owned(),
            // Of the URL runtimes look at the host alone.
            server_address: format!("https://{registry}"),
        });
        let request = PullImageRequest { image: Some(named(image)), auth };
        self.ask::<_, PullImageResponse>(images!("PullImage"), request, patience).await.map(drop)
    }

    /// Where it keeps images.
    pub async fn image_folders(&self) -> Result<Vec<String>, CriError> {
        let answer: ImageFsInfoResponse = self.ask(images!("ImageFsInfo"), Empty {}, LOOK).await?;
        let usages = answer.image_filesystems.into_iter();
        Ok(usages.filter_map(|usage| usage.fs_id).map(|filesystem| filesystem.mountpoint).collect())
    }
}
