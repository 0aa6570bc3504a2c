//! What an image itself runs, as an Engine would start it.

use std::path::PathBuf;
use std::sync::Arc;

use outrider_model::plan::DockerImage;
use outrider_model::report::Exit;
use tokio::sync::Mutex;

use super::image::Provided;
use crate::init::{InitClient, Program, ProgramRequest, Ready};
use crate::{ExecutorError, Output, Service};

/// The words of a container's program: the config's over the image's. Another entry point drops the
/// image's command.
pub(super) fn words(image: &DockerImage, provided: &Provided) -> Vec<String> {
    let (entrypoint, command) = match (image.entrypoint.is_empty(), image.command.is_empty()) {
        (true, true) => (&provided.entrypoint, &provided.command),
        (true, false) => (&provided.entrypoint, &image.command),
        (false, _) => (&image.entrypoint, &image.command),
    };
    entrypoint.iter().chain(command).cloned().collect()
}

/// The program of a primary container, which is to run beside the steps.
pub(super) struct Wanted {
    name: String,
    words: Vec<String>,
    working_directory: PathBuf,
}

impl Wanted {
    /// Nothing, unless the config or the image says that it is wanted: most images only have a shell
    /// there.
    pub fn of(image: &DockerImage, provided: &Provided) -> Option<Self> {
        let named = !image.entrypoint.is_empty() || !image.command.is_empty();
        let words = words(image, provided);
        let wanted = (named || provided.preserves_entrypoint) && !words.is_empty();
        wanted.then(|| Self {
            name: format!("{} (entrypoint)", image.image),
            words,
            working_directory: provided.working_directory.clone(),
        })
    }

    /// Starts it, as the steps' user.
    pub async fn start(
        self,
        init: &InitClient,
        ready: &Ready,
    ) -> Result<Entrypoint, ExecutorError> {
        let request = ProgramRequest {
            words: self.words,
            environment: ready.variables.clone(),
            working_directory: self.working_directory,
        };
        let program = init.start_program(request).await?;
        Ok(Entrypoint {
            name: self.name,
            program: Mutex::new(Some(program)),
        })
    }
}

/// The program of a primary container.
pub(super) struct Entrypoint {
    name: String,
    /// Until somebody follows it.
    program: Mutex<Option<Program>>,
}

impl Entrypoint {
    pub fn listed(&self) -> Service {
        Service {
            name: self.name.clone(),
        }
    }

    /// Hands over what it writes until it ends, to whoever asks first.
    pub async fn follow(&self, init: &InitClient, output: Arc<dyn Output>) -> Option<Exit> {
        let program = self.program.lock().await.take()?;
        let ended = init.follow_program(program, output).await;
        ended.ok().map(|ended| ended.exit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHELL: [&str; 2] = ["/entry", "sh"];

    fn found(config: [&[&str]; 2], preserved: bool) -> Option<Vec<String>> {
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        let image = DockerImage {
            entrypoint: words(config[0]),
            command: words(config[1]),
            ..DockerImage::new("image")
        };
        let provided = Provided {
            entrypoint: words(&SHELL[..1]),
            command: words(&SHELL[1..]),
            preserves_entrypoint: preserved,
            ..Provided::default()
        };
        Wanted::of(&image, &provided).map(|wanted| wanted.words)
    }

    #[test]
    fn the_config_counts_more_than_the_image() {
        let words = |words: &[&str]| Some(words.iter().map(|&word| word.to_owned()).collect());
        assert_eq!(found([&["a"], &[]], true), words(&["a"]));
        assert_eq!(found([&["a"], &["b"]], false), words(&["a", "b"]));
        assert_eq!(found([&[], &["b"]], false), words(&["/entry", "b"]));
        assert_eq!(found([&[], &[]], true), words(&SHELL));
        assert_eq!(found([&[], &[]], false), None);
    }
}
