# What whoever deploys says, or leaves as it is. None of it is a secret: credentials are named, and stand in Secret Manager.

variable "project" {
  description = "Id of the project that Latchkey runs in and that holds its secrets."
  type        = string
}

variable "region" {
  description = "Where the functions run."
  type        = string
  default     = "europe-west3"
}

variable "name" {
  description = "Begins the names of everything that is made."
  type        = string
  default     = "latchkey"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,18}$", var.name))
    error_message = "name must be 3 to 19 of a-z 0-9 -, a letter first: service accounts have at most 30 characters."
  }
}

variable "bundles" {
  description = "The folder in which npm run build has put gcp-read.zip, gcp-keys.zip and gcp-rotate.zip."
  type        = string
  default     = "../../dist"
}

variable "prefix" {
  description = "prefix_for_stored_virtual_keys of the configuration: below it may be written, and nowhere else."
  type        = string
  default     = "litellm/"

  validation {
    condition     = can(regex("^([A-Za-z0-9_]+/)+$", var.prefix))
    error_message = "prefix must be segments of A-Z a-z 0-9 _, each with its slash: an empty one would open every secret of the project."
  }
}

variable "access_mode" {
  description = "access_mode of the configuration. With write_only nobody reads values but Latchkey's own records."
  type        = string
  default     = "read_and_write"

  validation {
    condition     = contains(["read_only", "write_only", "read_and_write"], var.access_mode)
    error_message = "access_mode must be read_only, write_only or read_and_write."
  }
}

variable "hosted_secrets" {
  description = "Names of secrets outside of the prefix that may be read: hosted_keys of the configuration. They must be there."
  type        = set(string)
  default     = []
}

variable "secret_environment" {
  description = "Credentials as environment variables of the functions: variable to name of a secret. The secrets must be there; a new version is taken up when an instance starts."
  type        = map(string)
  default     = { LITELLM_MASTER_KEY = "LITELLM_MASTER_KEY" }
}

variable "rotated_secrets" {
  description = "Secrets that are made here and rotated by Secret Manager's schedule (latchkey.rotation.secrets): name to the first time and the days between two."
  type        = map(object({ first = string, days = number }))
  default     = {}

  validation {
    condition     = alltrue([for secret in values(var.rotated_secrets) : secret.days >= 1])
    error_message = "days must be at least 1."
  }
}

variable "read_invokers" {
  description = "Who may call the function that reads, as members of IAM (serviceAccount:…, group:…)."
  type        = set(string)
  default     = []

  validation {
    condition     = length(setintersection(var.read_invokers, ["allUsers", "allAuthenticatedUsers"])) == 0
    error_message = "read_invokers must name callers: whoever is let in unnamed can say that it is anybody."
  }
}

variable "keys_invokers" {
  description = "Who may call the function that makes and changes keys, as members of IAM."
  type        = set(string)
  default     = []

  validation {
    condition     = length(setintersection(var.keys_invokers, ["allUsers", "allAuthenticatedUsers"])) == 0
    error_message = "keys_invokers must name callers: whoever is let in unnamed can say that it is anybody."
  }
}

variable "ingress" {
  description = "From where read and keys can be reached. IAM asks every caller for a token, whatever is said here."
  type        = string
  default     = "ALLOW_INTERNAL_ONLY"

  validation {
    condition     = contains(["ALLOW_INTERNAL_ONLY", "ALLOW_INTERNAL_AND_GCLB", "ALLOW_ALL"], var.ingress)
    error_message = "ingress must be ALLOW_INTERNAL_ONLY, ALLOW_INTERNAL_AND_GCLB or ALLOW_ALL."
  }
}

variable "sweep_schedule" {
  description = "When the sweep runs, as cron."
  type        = string
  default     = "*/15 * * * *"
}

variable "max_instances" {
  description = "How many instances of each function may run at once."
  type        = number
  default     = 20
}

variable "customer_key" {
  description = "Makes a key of Cloud KMS for the messages and for the secrets that are made here; name it in google_kms_key_name for those that Latchkey makes."
  type        = bool
  default     = false
}

variable "notification_channels" {
  description = "Channels of Cloud Monitoring that are told when an event could not be handled."
  type        = list(string)
  default     = []
}

variable "aws_account" {
  description = "An AWS account whose Latchkey functions may act as these, without a key. Empty: none."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^([0-9]{12})?$", var.aws_account))
    error_message = "aws_account must be 12 digits."
  }
}

variable "aws_deployment" {
  description = "latchkey.deployment.name there: the roles are <name>-read, <name>-keys and <name>-rotate."
  type        = string
  default     = "latchkey"
}
