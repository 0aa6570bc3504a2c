//! Which pulled images go: the one first that was used longest ago, and never one of which there is a
//! container or which a task has just asked for.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, SystemTime};

use bollard::errors::Error;
use bollard::query_parameters::{ListContainersOptions, RemoveImageOptions};

use super::{Care, Reason, failed};
use crate::ExecutorError;
use crate::docker::answer::answered;
use crate::docker::image::records::Record;
use crate::docker::settings::ImageCare;
use crate::docker::settle::settled;

/// A task that has asked for an image has its container after this time.
const JUST_ASKED: Duration = Duration::from_secs(600);

/// An image that runners have pulled.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pulled {
    /// What is removed: its name, or its id where the name stands for another image by now.
    target: String,
    /// The name that it was pulled by.
    reference: String,
    id: String,
    bytes: u64,
    idle: Duration,
    in_use: bool,
}

/// Which images go, and why. `short`: so many bytes are to be freed in any case.
fn choose(mut images: Vec<Pulled>, settings: &ImageCare, short: u64) -> Vec<(Pulled, Reason)> {
    let mut total: u64 = images.iter().map(|image| image.bytes).sum();
    let mut freed = 0_u64;
    images.retain(|image| !image.in_use && image.idle >= JUST_ASKED);
    images.sort_by_key(|image| std::cmp::Reverse(image.idle));
    let mut chosen = Vec::new();
    for image in images {
        let reason = match (settings.max_age, settings.max_bytes) {
            (Some(age), _) if image.idle > age => Reason::Age(image.idle),
            (_, Some(limit)) if total > limit => Reason::Size(limit),
            _ if freed < short => Reason::LowDisk,
            _ => continue,
        };
        total -= image.bytes;
        freed = freed.saturating_add(image.bytes);
        chosen.push((image, reason));
    }
    chosen
}

impl Care {
    /// `short`: so many bytes are to be freed in any case.
    pub(super) async fn remove_images(&self, short: u64) -> Result<(), ExecutorError> {
        let used = self.used_images().await?;
        let now = self.records.now()?;
        let mut images = HashMap::new();
        for (record, last) in self.records.all()? {
            for image in self.look_at(&record, last, now, &used).await? {
                // Two names of one image: the later use counts.
                images
                    .entry(image.id.clone())
                    .or_insert_with(Vec::new)
                    .push(image);
            }
        }
        let images = images.into_values().flat_map(used_together).collect();
        for (image, reason) in choose(images, &self.settings, short) {
            self.remove(&image, reason).await?;
        }
        Ok(())
    }

    async fn used_images(&self) -> Result<HashSet<String>, ExecutorError> {
        let options = ListContainersOptions {
            all: true,
            ..ListContainersOptions::default()
        };
        let list = || {
            let list = self.engine.list_containers(Some(options.clone()));
            answered(&self.engine, list)
        };
        let containers = settled(list).await;
        let containers = containers.map_err(|error| failed("list its containers", &error))?;
        Ok(containers
            .into_iter()
            .filter_map(|it| it.image_id)
            .collect())
    }

    /// The images of one record that the Engine has. What it has no more is forgotten.
    async fn look_at(
        &self,
        record: &Record,
        last: SystemTime,
        now: SystemTime,
        used: &HashSet<String>,
    ) -> Result<Vec<Pulled>, ExecutorError> {
        let idle = now.duration_since(last).unwrap_or_default();
        let current = self.size_of(&record.reference).await?.map(|(id, _)| id);
        let mut images = Vec::new();
        for id in record.ids.keys() {
            let Some((id, bytes)) = self.size_of(id).await? else {
                self.forget(&record.reference, id)?;
                continue;
            };
            let named = current.as_ref() == Some(&id);
            images.push(Pulled {
                target: if named { &record.reference } else { &id }.clone(),
                reference: record.reference.clone(),
                bytes,
                idle,
                in_use: used.contains(&id),
                id,
            });
        }
        Ok(images)
    }

    /// The id and the size of an image.
    async fn size_of(&self, image: &str) -> Result<Option<(String, u64)>, ExecutorError> {
        match answered(&self.engine, self.engine.inspect_image(image)).await {
            Ok(found) => Ok(found.id.map(|id| {
                let size = found.size.and_then(|size| u64::try_from(size).ok());
                (id, size.unwrap_or(0))
            })),
            Err(Error::DockerResponseServerError {
                status_code: 404, ..
            }) => Ok(None),
            Err(error) => Err(failed("look at an image", &error)),
        }
    }

    fn forget(&self, reference: &str, id: &str) -> Result<(), ExecutorError> {
        self.records.update(reference, |record| {
            let mut record = record?;
            record.ids.remove(id);
            (record.pending > 0 || !record.ids.is_empty()).then_some(record)
        })
    }

    async fn remove(&self, image: &Pulled, reason: Reason) -> Result<(), ExecutorError> {
        // Not by force: the Engine refuses what a container uses by now.
        let options = None::<RemoveImageOptions>;
        let removed = self.engine.remove_image(&image.target, options, None).await;
        match removed {
            Ok(_) => {
                let megabytes = image.bytes / 1_000_000;
                tracing::info!(image = %image.target, id = %image.id, megabytes, %reason, "image removed");
                // Another name may hold it still: its access is remembered as long as it is there.
                match self.size_of(&image.id).await? {
                    None => self.forget(&image.reference, &image.id),
                    Some(_) => Ok(()),
                }
            }
            Err(Error::DockerResponseServerError {
                status_code: 404, ..
            }) => self.forget(&image.reference, &image.id),
            Err(Error::DockerResponseServerError {
                status_code: 409,
                message,
            }) => {
                tracing::debug!(image = %image.target, message, "image kept");
                Ok(())
            }
            Err(error) => Err(failed("remove an image", &error)),
        }
    }
}

/// All names of one image were used when the last of them was; its bytes count once.
fn used_together(mut names: Vec<Pulled>) -> Vec<Pulled> {
    let idle = names
        .iter()
        .map(|image| image.idle)
        .min()
        .unwrap_or_default();
    for (index, image) in names.iter_mut().enumerate() {
        image.idle = idle;
        if index > 0 {
            image.bytes = 0;
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{ImageCare, Pulled, Reason, choose, used_together};

    const HOUR: u64 = 3_600;

    fn image(id: &str, bytes: u64, hours: u64, in_use: bool) -> Pulled {
        Pulled {
            target: id.to_owned(),
            reference: id.to_owned(),
            id: id.to_owned(),
            bytes,
            idle: Duration::from_secs(hours * HOUR),
            in_use,
        }
    }

    fn chosen(images: Vec<Pulled>, settings: &ImageCare, short: u64) -> Vec<(String, Reason)> {
        let chosen = choose(images, settings, short);
        chosen
            .into_iter()
            .map(|(it, reason)| (it.id, reason))
            .collect()
    }

    const NO_LIMITS: ImageCare = ImageCare {
        max_bytes: None,
        max_age: None,
        min_free: None,
    };

    #[test]
    fn old_images_go_unless_they_are_in_use() {
        let age = Duration::from_secs(10 * HOUR);
        let settings = ImageCare {
            max_age: Some(age),
            ..NO_LIMITS
        };
        let images = vec![
            image("a", 1, 11, false),
            image("b", 1, 9, false),
            image("c", 1, 99, true),
        ];
        let idle = Duration::from_secs(11 * HOUR);
        assert_eq!(
            chosen(images, &settings, 0),
            [("a".to_owned(), Reason::Age(idle))]
        );
    }

    #[test]
    fn the_longest_unused_go_until_the_rest_fits() {
        let settings = ImageCare {
            max_bytes: Some(50),
            ..NO_LIMITS
        };
        let images = vec![
            image("a", 30, 1, false),
            image("b", 30, 3, false),
            image("c", 30, 2, false),
            image("d", 10, 9, true),
        ];
        let size = Reason::Size(50);
        assert_eq!(
            chosen(images, &settings, 0),
            [("b".to_owned(), size), ("c".to_owned(), size)]
        );
    }

    #[test]
    fn a_full_disk_takes_as_many_as_it_needs_but_none_just_asked_for() {
        let images = || {
            vec![
                image("a", 30, 2, false),
                image("b", 30, 1, false),
                image("c", 30, 0, false),
            ]
        };
        assert_eq!(
            chosen(images(), &NO_LIMITS, 20),
            [("a".to_owned(), Reason::LowDisk)]
        );
        assert_eq!(chosen(images(), &NO_LIMITS, u64::MAX).len(), 2);
        assert_eq!(chosen(images(), &NO_LIMITS, 0), []);
    }

    #[test]
    fn names_of_one_image_are_used_together_and_counted_once() {
        let names = used_together(vec![image("a", 5, 9, false), image("a", 5, 1, false)]);
        let idle = Duration::from_secs(HOUR);
        assert!(names.iter().all(|it| it.idle == idle));
        assert_eq!(names.iter().map(|it| it.bytes).sum::<u64>(), 5);
    }
}
