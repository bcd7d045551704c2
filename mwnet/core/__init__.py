"""What every room needs: errors, files, seeds, devices, processes, commands."""
