import { aws } from './clients/aws.ts'
import { boto3 } from './clients/boto3.ts'
import { browser } from './clients/browser.ts'
import { js } from './clients/js.ts'
import { rclone } from './clients/rclone.ts'
import { s3cmd } from './clients/s3cmd.ts'
import { s5cmd } from './clients/s5cmd.ts'
import type { Client } from './day.ts'

export const clients: readonly Client[] = [aws, boto3, js, rclone, s3cmd, s5cmd, browser]
