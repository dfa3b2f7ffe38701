"""Reports, pictures and plots of images, cells and trainings."""
